"""docs/add_a_model_family.md, followed to the letter: one Python file and two YAML; and what is forgotten is named."""

import re
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fixtures import SMALL
from model_configs import model_config
from newcomers import blocks, checkout, run

from ntil.errors import UserError
from ntil.models import load_model
from ntil.models.families import FAMILIES, family_of
from ntil.models.family import Vision


def test_a_vision_family_is_three_files(tmp_path: Path) -> None:
    place = checkout(tmp_path / "checkout")
    (source,) = blocks("add_a_model_family.md", "python")
    (place / "ntil/models/families/vipllava.py").write_text(source, encoding="utf-8")
    for end in ("", "_tiny"):
        text = (place / f"conf/model/llava15{end}.yaml").read_text(encoding="utf-8")
        text = text.replace("llava15", "vipllava")
        (place / f"conf/model/vipllava{end}.yaml").write_text(text, encoding="utf-8")
    model = "model=vipllava_tiny"
    dry = run(place, "train.py", *SMALL, model, "trainer.dry_run=true", "model.tuning.freeze_vision=false")
    assert "<image>×16" in dry
    assert "</s>⟧" in dry
    run(place, "train.py", *SMALL, model, "name=new")
    assert (place / "outputs/runs/new/COMPLETE").exists()
    run(place, "evaluate.py", "run=outputs/runs/new", "splits=[val]")


def refused(family: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """The error where the module of LLaVA's family says this instead."""
    monkeypatch.setattr("ntil.models.families.llava15.FAMILY", family)
    with pytest.raises(UserError) as caught:
        load_model(model_config("llava15_tiny"))
    return str(caught.value)


def with_vision(**changes: Any) -> Callable[[Any], Any]:
    return lambda family: replace(family, vision=replace(family.vision, **changes))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda family: replace(family, vision=None), ("vision=Vision(", "llava15")),
        (lambda _: None, ("no FAMILY = Family(", "docs/add_a_model_family.md")),
        (with_vision(tower="visual"), ("model.visual", "model.vision_tower")),
        (with_vision(linears=("q_proj", "qkv")), ("qkv", "Vision.linears", "fc1")),
        (with_vision(shape=lambda config: config.depth), ("Vision.shape", "depth")),
    ],
    ids=["no vision", "no family", "another tower", "other linears", "another shape"],
)
def test_what_a_family_forgets_is_named(
    change: Callable[[Any], Any], words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = refused(change(family_of("llava15")), monkeypatch)
    for word in words:
        assert word in text


def test_a_missing_field_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: str) -> types.ModuleType:
        Vision(tower="vision_tower")  # type: ignore[call-arg]
        raise AssertionError

    monkeypatch.setattr("ntil.models.families.importlib.import_module", broken)
    with pytest.raises(UserError, match=re.escape("'linears' and 'twin_processor'")):
        family_of("llava15")


def test_a_text_family_with_pictures_in_its_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = model_config("llama3_tiny")
    cfg.prompt.text, cfg.prompt.image = "{image}{question}", "<image>"
    with pytest.raises(UserError, match=r"llama3.*vision=Vision\("):
        load_model(cfg)


def test_families_are_the_files_of_their_package() -> None:
    import ntil.models.families as package

    here = Path(package.__path__[0])
    files = {path.stem for path in here.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert set(FAMILIES) == files - {"__init__"}
