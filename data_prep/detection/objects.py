"""What an annotation says of one picture, and the expressions that ask for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

Box = tuple[float, float, float, float]  # x1, y1, x2, y2 in pixels
MODES = ("single", "largest", "all")


@dataclass
class Objects:
    """Objects by category, in the frame of their annotation.

    boxes: those that can be asked for. ignored: regions that an answer may hold or not, crowds of COCO and `difficult` objects
    of VOC. unread: categories with an object whose box cannot be read, so that not all of them are known.
    """

    boxes: list[tuple[str, Box]] = field(default_factory=list)
    ignored: list[tuple[str, Box]] = field(default_factory=list)
    unread: set[str] = field(default_factory=set)

    def add(self, category: str, edges: Box | None, ignored: bool) -> str:
        """Take an object by its edges (None where they cannot be read); why it is none, or ''."""
        if edges is None:
            self.unread.add(category)
            return "its box cannot be read"
        if not has_area(edges):
            return "its box has no area"
        (self.ignored if ignored else self.boxes).append((category, edges))
        return ""


class Expression(NamedTuple):
    """What is asked for, in words, the boxes that it means, and what an answer may hold besides."""

    query: str
    boxes: tuple[Box, ...]
    category: str
    ignored: tuple[Box, ...] = ()


def has_area(box: Box) -> bool:
    return box[0] < box[2] and box[1] < box[3]


def expressions(
    objects: Objects, mode: str, only: Sequence[str], names: Mapping[str, str]
) -> list[Expression] | str:
    """What can be asked of a picture, categories in order of appearance; or why nothing can.

    mode: "single" takes categories that occur once; "largest" the largest of each ("largest dog" where there are several);
    "all" every box of each. A category of which a box cannot be read is left out. One with ignored regions is asked for in
    mode=all alone, because a crowd of dogs leaves open which is the dog, or the largest.
    """
    grouped = _by_category(objects.boxes, only)
    ignored = _by_category(objects.ignored, only)
    found: list[Expression] = []
    for category, members in grouped.items():
        name = names.get(category, category)
        if category in objects.unread or (mode != "all" and category in ignored):
            continue
        if mode == "all":
            found.append(Expression(name, tuple(members), category, tuple(ignored.get(category, ()))))
        elif len(members) == 1:
            found.append(Expression(name, (members[0],), category))
        elif mode == "largest":
            largest = max(members, key=lambda b: (b[2] - b[0]) * (b[3] - b[1]))
            found.append(Expression(f"largest {name}", (largest,), category))
    return found or _why(objects, mode, bool(grouped), bool(ignored))


def _by_category(boxes: Sequence[tuple[str, Box]], only: Sequence[str]) -> dict[str, list[Box]]:
    grouped: dict[str, list[Box]] = {}
    for category, box in boxes:
        if not only or category in only:
            grouped.setdefault(category, []).append(box)
    return grouped


def _why(objects: Objects, mode: str, boxes: bool, ignored: bool) -> str:
    """Why nothing can be asked for; `boxes` and `ignored`: whether there are any of the categories that were chosen."""
    if objects.unread:
        return "the box of an object cannot be read, so not all of its category are known"
    if not boxes and ignored:
        return "nothing but regions to ignore"
    if not boxes:
        return "no object of the categories in `only`" if objects.boxes or objects.ignored else "no object"
    if mode == "single":
        return "no category occurs exactly once"
    return "regions to ignore leave open which object is the largest"
