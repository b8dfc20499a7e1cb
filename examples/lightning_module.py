# python examples/lightning_module.py        (pip install lightning)
"""Lightning: a small Llama learns additions like 12+7=19 with cross-entropy + NTIL."""

import random

import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset
from transformers import LlamaConfig, LlamaForCausalLM

import ntil

ALPHABET = "_;+=0123456789"  # _ pads, ; ends


class Adder(lightning.LightningModule):
    def __init__(self, loss: torch.nn.Module) -> None:
        super().__init__()
        sizes = {
            "hidden_size": 64,
            "intermediate_size": 192,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
        }
        self.model = LlamaForCausalLM(LlamaConfig(vocab_size=len(ALPHABET), **sizes))
        self.loss = loss  # follows the module to its device; it has no parameters

    def training_step(self, batch: list[Tensor], _: int) -> Tensor:
        ids, labels = batch
        logits = self.model(ids).logits
        loss: Tensor = self.loss(logits[:, :-1], labels[:, 1:])  # row t of the logits predicts token t + 1
        return loss

    def validation_step(self, batch: list[Tensor], index: int) -> None:
        ids, labels = batch
        self.log("val_loss", self.loss(self.model(ids).logits[:, :-1], labels[:, 1:]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=5e-3)


def encode(texts: list[str]) -> TensorDataset:
    """ids and labels [B, T]: the answer only, -100 elsewhere; T = 9 for "49+49=98;"."""
    ids = torch.tensor([[ALPHABET.index(c) for c in text.ljust(9, "_")] for text in texts])
    answer = (ids == ALPHABET.index("=")).cumsum(1).bool() & (ids != ALPHABET.index("="))
    return TensorDataset(ids, ids.masked_fill(~answer | (ids == 0), -100))


def main(steps: int = 400) -> tuple[float, float]:
    torch.manual_seed(0)
    texts = [f"{a}+{b}={a + b};" for a in range(50) for b in range(50)]
    random.Random(0).shuffle(texts)
    train = DataLoader(encode(texts[:2244]), batch_size=64, shuffle=True)
    validation = DataLoader(encode(texts[2244:]), batch_size=256)

    module = Adder(ntil.WithCrossEntropy(ntil.NTIL(ntil.NumberVocab.from_texts(list(ALPHABET)))))
    trainer = lightning.Trainer(
        max_steps=steps, logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    before = trainer.validate(module, validation, verbose=False)[0]["val_loss"]
    trainer.fit(module, train, validation)
    after = trainer.validate(module, validation, verbose=False)[0]["val_loss"]

    print(f"loss on unseen additions: {before:.3f} before, {after:.3f} after {steps} steps")
    for text in texts[2244:2250]:
        ids = torch.tensor([[ALPHABET.index(c) for c in text[: text.index("=") + 1]]])
        written = module.model.generate(
            ids, max_new_tokens=4, do_sample=False, eos_token_id=1, pad_token_id=0
        )
        print("".join(ALPHABET[i] for i in written[0]).rstrip(";"))
    return before, after


if __name__ == "__main__":
    main()
