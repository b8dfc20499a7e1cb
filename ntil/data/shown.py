"""Which predictions are shown: the worst, the best and some random ones, chosen alike wherever predictions are shown."""

import random
from collections.abc import Sequence

WORST, BEST, RANDOM = "worst", "best", "random"


def shown_places(errors: Sequence[float], count: int) -> dict[str, list[int]]:
    """Kind → places in `errors`, `count` of each kind or all there are; worst and best first, equals in their order.

    The random ones are the same places for the same number of errors, so that two runs are seen on the same items.
    """
    places = range(len(errors))
    return {
        WORST: sorted(places, key=lambda place: -errors[place])[:count],
        BEST: sorted(places, key=lambda place: errors[place])[:count],
        RANDOM: random.Random(0).sample(places, min(count, len(errors))),
    }


def kinds_of(place: int, shown: dict[str, list[int]]) -> tuple[str, ...]:
    """Why a place is shown; () where it is not."""
    return tuple(kind for kind, members in shown.items() if place in members)
