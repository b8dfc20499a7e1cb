# python examples/trl_sft.py        (pip install trl)
"""TRL's SFTTrainer: a small Llama learns additions like 12+7=19 with cross-entropy + NTIL."""

import random
import tempfile

import torch
from datasets import Dataset
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import SFTConfig, SFTTrainer

import ntil

ALPHABET = "_;+=0123456789"  # _ pads, ; ends


class NumberSFTTrainer(ntil.integrations.NumberLossMixin, SFTTrainer):
    """SFTTrainer with our loss: one forward pass, accumulation and DDP as one large batch."""


def character_tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.WordLevel({c: i for i, c in enumerate(ALPHABET)}, unk_token="_"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="_", eos_token=";")


def main(steps: int = 400) -> tuple[float, float]:
    torch.manual_seed(0)
    tokenizer = character_tokenizer()
    sizes = {"hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 2, "num_attention_heads": 4}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), eos_token_id=1, **sizes))
    rows = [{"prompt": f"{a}+{b}=", "completion": str(a + b)} for a in range(50) for b in range(50)]
    random.Random(0).shuffle(rows)

    vocab = ntil.NumberVocab.from_tokenizer(tokenizer, vocab_size=model.config.vocab_size)
    loss = ntil.WithCrossEntropy(ntil.NTIL(vocab))
    with tempfile.TemporaryDirectory() as folder:
        args = SFTConfig(
            folder,
            max_steps=steps,
            per_device_train_batch_size=64,
            learning_rate=5e-3,
            bf16=False,
            save_strategy="no",
            logging_steps=100,
            disable_tqdm=True,
            report_to=[],
        )
        trainer = NumberSFTTrainer(
            model,
            args,
            train_dataset=Dataset.from_list(rows[:2244]),
            eval_dataset=Dataset.from_list(rows[2244:]),
            processing_class=tokenizer,
            number_loss=loss,  # the one line, beside the class above
        )
        before = trainer.evaluate()["eval_loss"]
        trainer.train()
        after = trainer.evaluate()["eval_loss"]

    print(f"loss on unseen additions: {before:.3f} before, {after:.3f} after {steps} steps")
    for row in rows[2244:2250]:
        prompt = tokenizer(row["prompt"], return_tensors="pt", return_token_type_ids=False)
        written = model.generate(**prompt.to(model.device), max_new_tokens=4, do_sample=False)
        print(tokenizer.decode(written[0], skip_special_tokens=True))
    return before, after


if __name__ == "__main__":
    main()
