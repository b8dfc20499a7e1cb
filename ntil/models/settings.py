"""What conf/model/*.yaml holds for the published families; unknown keys are refused."""

from dataclasses import dataclass

from ntil.errors import UserError
from ntil.settings import at_least, one_of


@dataclass(frozen=True, kw_only=True)
class PromptSettings:
    """How a family is asked and how it answers, to the character.

    For LLaVA: text "USER: {image}{question} ASSISTANT:", image "<image>\\n", answer " {answer}</s>".
    """

    text: str  # with {question} and, for families that see, {image}
    # Stands in for {image} where there is a picture; its image token is multiplied by the processor.
    image: str | None
    answer: str  # with {answer}: all of it is supervised, so it says how an answer ends
    begin: str | None  # a token before everything, where the tokenizer or the processor adds none
    stop_tokens: list[
        str
    ]  # any of them ends a generated answer; those that the tokenizer lacks are passed over
    stop_text: str | None  # so does this text, however it is split into tokens

    def __post_init__(self) -> None:
        if self.text.count("{question}") != 1 or self.answer.count("{answer}") != 1:
            raise UserError(
                "model.prompt.text must hold {question} once, and model.prompt.answer {answer} once."
            )


@dataclass(frozen=True, kw_only=True)
class TuningSettings:
    """What is trained, and how it is kept in memory."""

    method: str = one_of("lora", "full")
    learning_rate: float = at_least(0)  # the trainer's, where it says ${model.tuning.learning_rate}
    dtype: str = one_of("float32", "bfloat16", "float16")  # of the weights; adapters are always float32
    freeze_vision: bool  # leave the vision tower as it is
    gradient_checkpointing: (
        bool  # recompute activations in the backward: slower by about a third, far less memory
    )
    # Of the frozen weights, for LoRA; 4bit needs bitsandbytes and a GPU.
    quantize: str = one_of("none", "4bit")
    rank: int = at_least(1)  # of the adapters
    alpha: int = at_least(1)  # adapters are scaled by alpha / rank
    dropout: float = at_least(0, below=1)  # before the adapters
    targets: list[str]  # the language model's linear layers that get adapters


@dataclass(frozen=True, kw_only=True)
class TwinSettings:
    """Sizes of a `<family>_tiny`: the family's architecture with random weights."""

    hidden_size: int = at_least(8)
    layers: int = at_least(1)
    heads: int = at_least(1)
    intermediate_size: int = at_least(1)
    image_size: int = at_least(28)  # pixels a side, where the family has one size
    weights_seed: int = at_least(0)  # the weights are always the same, as published ones are
    # A folder with the family's own tokenizer.json; null: one of a few hundred tokens.
    tokenizer_folder: str | None


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """A published family, or its twin where `twin` is given."""

    name: str
    family: str
    coordinates: str  # how it writes boxes and points (tasks/coordinates.py)
    hub_id: str
    revision: str | None  # a commit of the hub's repository; null: the newest
    local_folder: str | None  # in place of the hub: what save_pretrained writes, or the hub's files
    trust_remote_code: bool
    attention: str  # of transformers: sdpa, eager, flash_attention_2, …
    min_pixels: int | None = at_least(1)  # of a picture after resizing, for families that take any size
    max_pixels: int | None = at_least(1)
    prompt: PromptSettings
    tuning: TuningSettings
    twin: TwinSettings | None
