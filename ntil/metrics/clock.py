"""How far two clock readings are apart."""

DIAL = 720  # minutes on a twelve-hour dial


def dial_minutes(hour: int, minute: int) -> int:
    """Minutes since twelve, 0 … 719; 12 o'clock is 0."""
    return hour % 12 * 60 + minute


def plain_gap(hour: int, minute: int, true_hour: int, true_minute: int) -> int:
    """|Δ| in minutes between the readings as numbers since twelve: 11:59 and 12:00 are 719 apart."""
    return abs(dial_minutes(hour, minute) - dial_minutes(true_hour, true_minute))


def circular_gap(hour: int, minute: int, true_hour: int, true_minute: int) -> int:
    """The shorter way around the dial in minutes, at most 360: 11:59 and 12:00 are 1 apart."""
    gap = plain_gap(hour, minute, true_hour, true_minute)
    return min(gap, DIAL - gap)
