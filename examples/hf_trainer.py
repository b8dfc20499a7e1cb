# python examples/hf_trainer.py
"""The stock Hugging Face Trainer: a small Llama learns additions like 12+7=19 with cross-entropy + NTIL."""

import random
import tempfile

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, Trainer, TrainingArguments

import ntil

ALPHABET = "_;+=0123456789"  # _ pads, ; ends


def character_tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.WordLevel({c: i for i, c in enumerate(ALPHABET)}, unk_token="_"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="_", eos_token=";")


def encode(tokenizer: PreTrainedTokenizerFast, text: str) -> dict[str, list[int]]:
    """Ids, and labels on the answer only, padded to the longest, "49+49=98;"."""
    encoded = tokenizer(text, padding="max_length", max_length=9, padding_side="right")
    answer = range(text.index("=") + 1, len(text))
    labels = [token if i in answer else -100 for i, token in enumerate(encoded["input_ids"])]
    return {"input_ids": encoded["input_ids"], "attention_mask": encoded["attention_mask"], "labels": labels}


def main(steps: int = 400) -> tuple[float, float]:
    torch.manual_seed(0)
    tokenizer = character_tokenizer()
    sizes = {"hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 2, "num_attention_heads": 4}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **sizes))
    texts = [f"{a}+{b}={a + b};" for a in range(50) for b in range(50)]
    random.Random(0).shuffle(texts)
    rows = [encode(tokenizer, text) for text in texts]

    vocab = ntil.NumberVocab.from_tokenizer(tokenizer, vocab_size=model.config.vocab_size)
    loss = ntil.WithCrossEntropy(ntil.NTIL(vocab))
    with tempfile.TemporaryDirectory() as folder:
        args = TrainingArguments(
            folder,
            max_steps=steps,
            per_device_train_batch_size=32,
            gradient_accumulation_steps=2,
            learning_rate=5e-3,
            lr_scheduler_type="cosine",
            save_strategy="no",
            logging_steps=100,
            disable_tqdm=True,
            report_to=[],
        )
        trainer = Trainer(
            model,
            args,
            train_dataset=rows[:2244],
            eval_dataset=rows[2244:],
            compute_loss_func=ntil.integrations.hf_loss(loss),  # the one line
        )
        before = trainer.evaluate()["eval_loss"]
        trainer.train()
        after = trainer.evaluate()["eval_loss"]

    print(f"loss on unseen additions: {before:.3f} before, {after:.3f} after {steps} steps")
    for text in texts[2244:2250]:
        prompt = tokenizer(text.split("=")[0] + "=", return_tensors="pt", return_token_type_ids=False)
        written = model.generate(**prompt.to(model.device), max_new_tokens=4, do_sample=False)
        print(tokenizer.decode(written[0], skip_special_tokens=True))
    return before, after


if __name__ == "__main__":
    main()
