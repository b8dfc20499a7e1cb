"""Referring expressions that name exactly one thing of a scene.

An expression is a description (some of size, texture, colour, shape) and maybe a relation to another thing that is
itself described without doubt: "small red ring left of the blue square". What an expression means is decided by
`referents`, which knows nothing of how it was made; `plain` and `related` give only those with one referent.

A relation is used only where every thing that fits the description stands clearly on one side (by `MARGIN`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from data_prep.scenes.config import FACTORS
from data_prep.scenes.sample import Scene, Thing

MARGIN = 0.08  # picture sides between two centres before one is left of, right of, above or below the other
RELATIONS = {"left of": ("x", -1), "right of": ("x", 1), "above": ("y", -1), "below": ("y", 1)}


@dataclass(frozen=True)
class Description:
    """The named factors of a thing, such as {"colour": "red", "shape": "ring"}."""

    factors: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        known = dict(self.factors)
        words = [known[name] for name in FACTORS if name in known]
        return " ".join(words if "shape" in known else [*words, "shape"])

    def fits(self, thing: Thing) -> bool:
        return all(getattr(thing, name) == value for name, value in self.factors)


@dataclass(frozen=True)
class Expression:
    """`what`, and where `relation` is given, how it stands to the one thing that `anchor` describes."""

    what: Description
    relation: str | None = None
    anchor: Description | None = None

    def __str__(self) -> str:
        return str(self.what) if self.relation is None else f"{self.what} {self.relation} the {self.anchor}"

    @property
    def kind(self) -> str:
        """The strongest means it needs: relation, texture, size, colour or shape."""
        if self.relation is not None:
            return "relation"
        return next(
            name for name in ("texture", "size", "colour", "shape") if name in dict(self.what.factors)
        )


def referents(expression: Expression, scene: Scene) -> list[Thing] | None:
    """What the expression may mean in the scene; None where that is open to dispute."""
    fitting = [thing for thing in scene.things if expression.what.fits(thing)]
    if expression.relation is None:
        return fitting
    assert expression.anchor is not None
    anchors = [thing for thing in scene.things if expression.anchor.fits(thing)]
    if len(anchors) != 1:
        return None
    axis, sign = RELATIONS[expression.relation]
    others = [thing for thing in fitting if thing is not anchors[0]]
    offsets = [sign * (getattr(thing, axis) - getattr(anchors[0], axis)) for thing in others]
    if any(abs(offset) < MARGIN for offset in offsets):
        return None
    return [thing for thing, offset in zip(others, offsets, strict=True) if offset > 0]


def plain(scene: Scene, thing: Thing, factors: Sequence[str] = FACTORS) -> list[list[Expression]]:
    """Expressions without a relation that mean `thing` alone: those of the fewest factors, then of one more."""
    levels = []
    for length in range(1, len(factors) + 1):
        described = [Expression(what) for what in _descriptions(thing, length, factors)]
        if found := [e for e in described if referents(e, scene) == [thing]]:
            levels.append(found)
    return levels[:2]


def related(scene: Scene, thing: Thing, factors: Sequence[str] = FACTORS) -> Iterator[Expression]:
    """Expressions with a relation that mean `thing` alone."""
    for anchor in scene.things:
        if anchor is thing:
            continue
        for named in _descriptions(anchor, 2, factors):
            for relation in RELATIONS:
                for what in _descriptions(thing, 2, factors):
                    expression = Expression(what, relation, named)
                    if referents(expression, scene) == [thing]:
                        yield expression


def _descriptions(thing: Thing, length: int, factors: Sequence[str]) -> list[Description]:
    """Of `length` factors, the shape among them where it may be named; an empty size and a plain texture are not worth
    a word.
    """
    silent = {"size": "", "texture": "plain"}
    named = [name for name in FACTORS if name in factors and getattr(thing, name) != silent.get(name)]
    return [
        Description(tuple((name, getattr(thing, name)) for name in names))
        for names in combinations(named, length)
        if "shape" in names or "shape" not in factors
    ]
