"""What a record of a clock says in the contact sheet, whether it is drawn or photographed."""

from ntil.data.example import Example


def shown_time(example: Example) -> str:
    """As people write it: "3:05"."""
    return f"{example.target['hour']}:{example.target['minute']:02d}"
