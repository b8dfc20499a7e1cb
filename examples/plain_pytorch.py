# python examples/plain_pytorch.py
"""A plain PyTorch loop: a small Llama learns additions like 12+7=19 with cross-entropy + NTIL."""

import random

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

import ntil

ALPHABET = "_;+=0123456789"  # _ pads, ; ends
LENGTH = 9  # of "49+49=98;"


def additions() -> tuple[list[str], list[str]]:
    """All sums of two numbers below 50: (training, validation)."""
    texts = [f"{a}+{b}={a + b};" for a in range(50) for b in range(50)]
    random.Random(0).shuffle(texts)
    return texts[:2244], texts[2244:]


def encode(texts: list[str]) -> tuple[Tensor, Tensor]:
    """ids [B, T] and labels [B, T]: the answer only, -100 elsewhere."""
    ids = torch.tensor([[ALPHABET.index(c) for c in text.ljust(LENGTH, "_")] for text in texts])
    answer = (ids == ALPHABET.index("=")).cumsum(1).bool() & (ids != ALPHABET.index("="))
    return ids, ids.masked_fill(~answer | (ids == 0), -100)


def complete(model: LlamaForCausalLM, prompt: str) -> str:
    ids = torch.tensor([[ALPHABET.index(c) for c in prompt]])
    written = model.generate(ids, max_new_tokens=4, do_sample=False, eos_token_id=1, pad_token_id=0)
    return "".join(ALPHABET[i] for i in written[0]).rstrip(";")


def main(steps: int = 400, batch_size: int = 64) -> tuple[float, float]:
    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 2, "num_attention_heads": 4}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(ALPHABET), **sizes))
    vocab = ntil.NumberVocab.from_texts(list(ALPHABET))
    loss = ntil.WithCrossEntropy(ntil.NTIL(vocab))

    train, validation = additions()
    held_ids, held_labels = encode(validation)

    @torch.no_grad()
    def validate() -> float:
        return loss(model(held_ids).logits[:, :-1], held_labels[:, 1:]).item()

    before = validate()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=steps)
    for _ in range(steps):
        ids, labels = encode(random.sample(train, batch_size))
        loss(model(ids).logits[:, :-1], labels[:, 1:]).backward()  # row t of the logits predicts token t + 1
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    after = validate()

    print(f"loss on unseen additions: {before:.3f} before, {after:.3f} after {steps} steps")
    print(*(complete(model, text.split("=")[0] + "=") for text in validation[:6]), sep="\n")
    return before, after


if __name__ == "__main__":
    main()
