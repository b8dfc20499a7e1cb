"""Which logits belong to which labels, in the outputs of any transformers model."""

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from ntil.errors import UserError
from ntil.losses.inputs import signed_labels

DECODER_INPUTS = ("decoder_input_ids", "decoder_inputs_embeds")


def aligned(
    outputs: Any, labels: Tensor | None, shift: bool | None = None, label_weights: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """(logits [B, K, V], labels [B, K], label_weights [B, K]) from a model's outputs, labels and weights [B, T].

    K < T keeps the last (`logits_to_keep`). shift: whether row t of the logits predicts label t + 1 (a decoder alone) or
    label t (encoder-decoder and masked language models); None reads it from the kind of outputs.
    """
    if labels is None:
        raise ValueError("the batch has no labels: the loss needs them, -100 where nothing is supervised.")
    logits, labels = _logits(outputs), signed_labels(labels)
    encoder_decoder = _has(outputs, "encoder_last_hidden_state")
    if shift is None:
        shift = not encoder_decoder and not any(
            kind.__name__ == "MaskedLMOutput" for kind in type(outputs).__mro__
        )
    _check_shapes(logits, labels, label_weights, whole=encoder_decoder)
    kept = logits.shape[1]

    def cut(x: Tensor, beyond: float) -> Tensor:
        x = F.pad(x, (0, 1), value=beyond)[..., 1:] if shift else x
        return x[:, x.shape[1] - kept :].to(logits.device)

    return logits, cut(labels, -100), None if label_weights is None else cut(label_weights, 0)


def shifts_labels(model: Any, inputs: Mapping[str, Any]) -> bool | None:
    """What the model and its batch say of `shift`: False for an encoder-decoder or a masked language model, else None."""
    return False if is_encoder_decoder(model, inputs) or "MaskedLM" in type(model).__name__ else None


def is_encoder_decoder(model: Any, inputs: Mapping[str, Any]) -> bool:
    config = getattr(model, "config", None)
    return bool(getattr(config, "is_encoder_decoder", False)) or any(
        name in inputs for name in DECODER_INPUTS
    )


def decoder_inputs(model: Any, inputs: Mapping[str, Any], labels: Tensor | None) -> dict[str, Tensor]:
    """What an encoder-decoder's batch lacks where its collator left the decoder's inputs to the model, which gets no labels."""
    if labels is None or not is_encoder_decoder(model, inputs) or any(n in inputs for n in DECODER_INPUTS):
        return {}
    prepare = getattr(model, "prepare_decoder_input_ids_from_labels", None)
    if prepare is None:
        raise UserError(
            f"the batch of {type(model).__name__}, an encoder-decoder, has no decoder_input_ids, and the model cannot make "
            "them from the labels; let the data collator add them."
        )
    return {"decoder_input_ids": prepare(labels=labels)}


def check_decoder_inputs(outputs: Any, inputs: Any) -> None:
    """UserError where an encoder-decoder was called without labels and without inputs for its decoder."""
    if not isinstance(inputs, Mapping) or not _has(outputs, "encoder_last_hidden_state"):
        return
    if not any(name.startswith("decoder_input") for name in inputs):
        raise UserError(
            "this encoder-decoder was given no decoder_input_ids: the Trainer keeps the labels from it, so it cannot make "
            "them. Let the data collator add them, DataCollatorForSeq2Seq(tokenizer, model=model), or train with "
            "NumberLossMixin."
        )


def _logits(outputs: Any) -> Tensor:
    logits = outputs.get("logits") if isinstance(outputs, dict) else getattr(outputs, "logits", None)
    if logits is None:
        if isinstance(outputs, tuple):
            raise UserError(
                "the model returns a tuple; set return_dict=True, so that its logits have a name."
            )
        raise UserError(
            "the model's outputs hold no logits. Losses in chunks and fused heads leave them out: set loss_type='nll' in "
            "TRL's SFTConfig, or use_liger_kernel=False."
        )
    return logits


def _has(outputs: Any, name: str) -> bool:
    return (outputs.get(name) if isinstance(outputs, dict) else getattr(outputs, name, None)) is not None


def _check_shapes(logits: Tensor, labels: Tensor, label_weights: Tensor | None, whole: bool) -> None:
    shapes = f"got {list(logits.shape)} and {list(labels.shape)}"
    if logits.ndim != 3 or labels.ndim != 2 or len(logits) != len(labels):
        raise ValueError(f"expected logits [B, K, V] and labels [B, T]; {shapes}.")
    if logits.shape[1] > labels.shape[1] or (whole and logits.shape[1] != labels.shape[1]):
        raise ValueError(
            f"expected as many positions in the logits [B, K, V] as in the labels [B, T]"
            f"{' of an encoder-decoder, whose decoder_input_ids are the labels shifted' if whole else ', or fewer'}; {shapes}."
        )
    if label_weights is not None and label_weights.shape != labels.shape:
        raise ValueError(
            f"expected label_weights [B, T] like the labels {list(labels.shape)}, got {list(label_weights.shape)}."
        )
