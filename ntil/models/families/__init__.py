"""The model families, one module each. A file here is all that the code needs to know of a family; there is no list of them."""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping

from ntil.errors import UserError, did_you_mean
from ntil.models.family import Family, home


class _Families(Mapping[str, Family]):
    """The modules of this package by name; each is imported when it is asked for."""

    def __iter__(self) -> Iterator[str]:
        return (module.name for module in pkgutil.iter_modules(__path__))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, name: str) -> Family:
        if name not in list(self):
            raise KeyError(name)
        try:
            family = getattr(importlib.import_module(f"{__name__}.{name}"), "FAMILY", None)
        except (
            TypeError,
            ImportError,
        ) as error:  # a field is missing or unknown, or transformers lacks a class
            raise UserError(f"{home(name)} does not describe a family: {error}. {_HOW}") from error
        if not isinstance(family, Family):
            raise UserError(f"{home(name)} has no FAMILY = Family(…). {_HOW}")
        return family


_HOW = "docs/add_a_model_family.md says what one needs."
FAMILIES: Mapping[str, Family] = _Families()


def family_of(name: str) -> Family:
    """The family that a YAML's `family` names. UserError where there is none, or its module does not say all of itself."""
    if name not in list(FAMILIES):
        raise UserError(
            f"model.family has no choice {name!r}.{did_you_mean(name, FAMILIES)} It has: {', '.join(FAMILIES)}."
        )
    return FAMILIES[name]
