"""How much GPU memory a training and an evaluation take: arithmetic on sizes, of one device.

Per layer and position (sample × token), in bytes; H wide, feed-forward F, queries Q and values W wide over all heads; c bytes a value
that is computed (2 in 16 bits, 4 in fp32), s bytes a weight:

    norms         4·Σ widths, their inputs in float32; and s·Σ widths where norms are trained (RMSNorm)
    attention     c·(2·Q + 2·W): queries, keys, values, result; flash attention keeps no [T, T], and keys and values are repeated
                  for each head, as padded batches need it
    feed-forward  c·3·F where it is gated (gate, its activation, up), c·2·F otherwise
    trained       the inputs of linear layers that are trained: c·Σ in, where autocast has cast them for each, else once for those
                  that read the same; each adapter's 1·in for its dropout's mask, c·in for what is left, c·rank

With gradient checkpointing that is what one layer keeps, and s·H a position stands between the layers. On top of it:

    weights       Σ parameters × s; in 4 bits 0.516 of the layers' linear weights, and float32 of the others
    gradients     of what is trained, twice where DDP keeps buckets of them; optimizer: AdamW's two moments
    copies        autocast's 16-bit copies of float32 weights, which live through a forward
    logits        B·K·V × (c + 8): as the model writes them, their float32 copy and its gradient; or a chunk from hidden states

An evaluation keeps weights, the cache of keys and values, one layer's values while it reads the prompt, and a step's logits.
"""

from dataclasses import dataclass
from typing import NamedTuple

from ntil.training.anatomy import Anatomy, Linear, Stack

SHARDED = {  # of these, each device holds its part
    "none": (),
    "zero2": ("gradients", "optimizer"),
    "zero3": ("weights", "gradients", "optimizer"),
    "fsdp": ("weights", "gradients", "optimizer"),
}
FOUR_BITS = 0.516  # bytes a weight: NF4 with quantised constants
CHUNK = 16 * 2**20  # logits that exist at once, from hidden states


class Tokens(NamedTuple):
    """Lengths of the samples looked at, in tokens."""

    mean: float
    longest: int
    answer: int  # the longest answer, its end included


@dataclass(frozen=True)
class Plan:
    """What of a training decides its memory; named as the settings are."""

    batch_size: int
    accumulation_steps: int
    precision: str
    method: str = "full"
    dtype: str = "float32"
    quantize: str = "none"
    rank: int = 16
    dropout: float = 0.0
    targets: tuple[str, ...] = ()
    vision_linears: tuple[str, ...] = ()
    freeze_vision: bool = False
    gradient_checkpointing: bool = False
    optimizer: str = "adamw"
    projection: str = "full"
    sharding: str = "none"
    devices: int = 1

    @property
    def computed(self) -> int:
        """Bytes of a value that is computed under the training's autocast."""
        return 4 if self.precision == "fp32" and self.stored == 4 else 2

    @property
    def stored(self) -> int:
        """Bytes of a weight, and of what goes from layer to layer."""
        return 4 if self.dtype == "float32" else 2


def training_memory(anatomy: Anatomy, plan: Plan, tokens: Tokens) -> dict[str, float]:
    """Bytes by purpose, of one device."""
    trained = trained_parameters(anatomy, plan)
    gradients = float(trained * (4 if plan.method == "lora" else plan.stored))
    memory = {
        "weights": _weights(anatomy, plan),
        "gradients": gradients,
        "optimizer": gradients * _moments(plan.optimizer),
        "activations": sum(_activations(stack, plan, tokens) for stack in _passed_back(anatomy, plan)),
        "copies": _copies(anatomy, plan, trained),
        "logits": _logits(anatomy, plan, tokens),
    }
    for name in SHARDED[plan.sharding]:
        memory[name] /= plan.devices
    if plan.devices > 1 and plan.sharding == "none":
        memory["gradients"] *= 2
    if plan.devices > 1 and "weights" in SHARDED[plan.sharding]:  # one layer is used, the next one fetched
        layer = max(stack.parameters for stack in anatomy.stacks)
        memory["copies"] = 2.0 * layer * plan.computed
    return memory


def evaluation_memory(
    anatomy: Anatomy, plan: Plan, tokens: Tokens, batch_size: int, max_new_tokens: int
) -> dict[str, float]:
    """Bytes by purpose, of one device that answers `batch_size` questions at once."""
    prompt = tokens.longest - tokens.answer
    size = 2 if plan.quantize != "none" else plan.stored
    read = [
        batch_size
        * (stack.positions or prompt)
        * size
        * (4 * stack.hidden + (3 if stack.gated else 2) * stack.feed_forward)
        for stack in anatomy.stacks
    ]
    decoder = anatomy.stacks[0]
    return {
        "weights": _weights(anatomy, plan),
        "cache": float(batch_size * (prompt + max_new_tokens) * decoder.layers * decoder.cached * size),
        "prompt": float(max(read)),
        "logits": batch_size * anatomy.logit_width * (size + 8.0),
    }


def trained_parameters(anatomy: Anatomy, plan: Plan) -> int:
    """How many parameters this plan trains."""
    if plan.method == "full":
        return anatomy.parameters - (anatomy.tower_parameters if plan.freeze_vision else 0)
    return sum(
        stack.layers * plan.rank * sum(linear.inputs + linear.outputs for linear in _adapted(stack, plan))
        for stack in anatomy.stacks
    )


def _weights(anatomy: Anatomy, plan: Plan) -> float:
    adapters = 4.0 * trained_parameters(anatomy, plan) if plan.method == "lora" else 0.0
    if plan.quantize == "none":
        return anatomy.parameters * plan.stored + adapters
    linear = sum(stack.layers * stack.linear_weights for stack in anatomy.stacks)
    return linear * FOUR_BITS + (anatomy.parameters - linear) * 4.0 + adapters


def _moments(optimizer: str) -> float:
    """Of the gradients' size: what the optimizer keeps."""
    if "8bit" in optimizer:
        return 0.5
    return {"sgd": 0.0, "adafactor": 0.01, "lion": 1.0}.get(optimizer.split("_")[0], 2.0)


def _passed_back(anatomy: Anatomy, plan: Plan) -> list[Stack]:
    """The stacks that a gradient goes through: the decoder, and a tower of which something is trained."""
    return [stack for stack in anatomy.stacks if not stack.positions or not plan.freeze_vision]


def _adapted(stack: Stack, plan: Plan) -> list[Linear]:
    """The linear layers of one layer that get adapters."""
    if stack.positions and plan.freeze_vision:
        return []
    ends = plan.vision_linears if stack.positions else plan.targets
    return [linear for linear in stack.linears if any(f".{linear.name}".endswith(f".{end}") for end in ends)]


def _activations(stack: Stack, plan: Plan, tokens: Tokens) -> float:
    positions = plan.batch_size * (stack.positions or tokens.longest)
    layer = positions * _of_layer(stack, plan)
    if not plan.gradient_checkpointing:
        return float(stack.layers * layer)
    return float(layer + positions * stack.layers * stack.hidden * plan.stored)


def _of_layer(stack: Stack, plan: Plan) -> float:
    """Bytes that a layer keeps of a position; the module's docstring says what."""
    c, full = plan.computed, plan.method == "full"
    norms = stack.norms * (4 + (plan.stored if full and stack.gated else 0))
    attention = c * (2 * stack.queries + 2 * stack.values)
    feed_forward = c * (3 if stack.gated else 2) * stack.feed_forward
    if full:
        cast = plan.stored != c
        read = [
            linear.inputs
            for linear in stack.linears
            if linear.inputs == stack.hidden and not linear.is_output
        ]
        inputs = c * (sum(read) if cast else 2 * stack.hidden) + c * stack.feed_forward
    else:
        mask = 1 if plan.dropout else 0
        inputs = sum(linear.inputs * (mask + c) + c * plan.rank for linear in _adapted(stack, plan))
    return norms + attention + feed_forward + inputs


def _copies(anatomy: Anatomy, plan: Plan, trained: int) -> float:
    """Autocast's: of float32 weights that are trained through the whole forward, of frozen ones as long as a layer is kept."""
    if plan.computed == 4 or plan.quantize != "none":
        return 0.0
    if plan.method == "lora":
        frozen = sum(stack.layers * stack.linear_weights for stack in _passed_back(anatomy, plan))
        kept = 0 if plan.stored == 2 or plan.gradient_checkpointing else frozen
        return 2.0 * (trained + kept)
    if plan.stored == 2:
        return 0.0
    head = anatomy.logit_width * anatomy.stacks[0].hidden
    return 2.0 * (head + sum(stack.layers * stack.linear_weights for stack in _passed_back(anatomy, plan)))


def _logits(anatomy: Anatomy, plan: Plan, tokens: Tokens) -> float:
    positions = plan.batch_size * (tokens.answer + 1)
    if plan.projection == "full":
        return positions * anatomy.logit_width * (plan.computed + 8.0)
    rows = min(positions, max(64, CHUNK // anatomy.logit_width))
    weight = 4.0 * anatomy.logit_width * anatomy.stacks[0].hidden if plan.method == "full" else 0.0
    return rows * anatomy.logit_width * (plan.computed + 4.0) + weight
