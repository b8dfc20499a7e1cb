"""What the training loop promises: the same start for every loss, equal accumulation, parts and NaN in the log."""

import hashlib
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures import SMALL, in_folder, losses, run
from safetensors.torch import load_file

import ntil.training
from ntil.io import read_jsonl, sha256
from ntil.losses import CrossEntropy
from ntil.training.trainer import NumberTrainer

assert ntil.training
FIT = sys.modules["ntil.training.fit"]


def train(workplace: Path, name: str, *overrides: str) -> Path:
    ran = run("train", *SMALL, *in_folder(workplace), "evaluation.limit=1", *overrides, f"name={name}")
    assert ran.code == 0, ran.err
    return workplace / "outputs" / "runs" / name


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model" / "model.safetensors")


class Witness:
    """The initial weights and the batches, in order, of each run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.initial: list[str] = []
        self.batches: list[str] = []
        begin, collate = NumberTrainer.train, FIT.collate

        def remember(trainer: NumberTrainer, *args: Any, **kwargs: Any) -> Any:
            state = trainer.model.state_dict()
            self.initial.append(self.hash(torch.cat([value.flatten().double() for value in state.values()])))
            return begin(trainer, *args, **kwargs)

        def collated(rows: list[dict[str, torch.Tensor]], pad_token_id: int) -> dict[str, Any]:
            self.batches.append(self.hash(torch.stack([row["pixel_values"] for row in rows])))
            return collate(rows, pad_token_id)

        monkeypatch.setattr(NumberTrainer, "train", remember)
        monkeypatch.setattr(FIT, "collate", collated)

    @staticmethod
    def hash(tensor: torch.Tensor) -> str:
        return hashlib.sha256(tensor.detach().numpy().tobytes()).hexdigest()


def test_every_loss_starts_alike_and_sees_the_same_batches(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {}
    for name in ("ce", "ntil", "ce seed=1"):
        witness = Witness(monkeypatch)
        train(
            workplace, f"alike-{name.replace(' seed=', '')}", *f"loss={name}".split(), "trainer.max_steps=5"
        )
        seen[name] = witness
        monkeypatch.undo()
        monkeypatch.chdir(workplace)
    assert seen["ce"].initial == seen["ntil"].initial
    assert len(set(seen["ce"].batches)) == len(seen["ce"].batches) >= 5, (
        "an epoch is four batches, each in another order"
    )
    assert seen["ce"].batches == seen["ntil"].batches
    assert seen["ce seed=1"].initial != seen["ce"].initial
    assert seen["ce seed=1"].batches != seen["ce"].batches


def test_the_same_command_gives_the_same_weights(finished: Path, workplace: Path) -> None:
    again = train(workplace, "finished-again", "trainer.eval_steps=0")
    assert sha256(again / "model" / "model.safetensors") == sha256(finished / "model" / "model.safetensors")
    assert losses(again) == losses(finished), "validation has no effect on training"


class Line(torch.nn.Module):
    """Logits from a table of tokens: a model without BatchNorm, so that batches may be cut at will."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = torch.nn.Embedding(12, 12)

    def forward(self, input_ids: torch.Tensor, logits_to_keep: int, **_: Any) -> Any:
        from transformers.modeling_outputs import CausalLMOutput

        return CausalLMOutput(logits=self.table(input_ids)[:, -logits_to_keep:])


def rows(count: int, length: int = 4) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(1, 11, (count, length), generator=generator)
    labels = ids.clone()
    labels[:, : length - 2] = -100
    return [{"input_ids": i, "labels": label} for i, label in zip(ids, labels, strict=True)]


def trained_line(
    tmp_path: Path, batch: int, accumulation: int, loss: Any, steps: int = 3
) -> tuple[torch.Tensor, Any]:
    from transformers import TrainingArguments

    from ntil.data.dataset import collate

    model = Line()
    trainer = NumberTrainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(tmp_path),
            per_device_train_batch_size=batch,
            gradient_accumulation_steps=accumulation,
            max_steps=steps,
            learning_rate=0.5,
            optim="sgd",
            lr_scheduler_type="constant",
            max_grad_norm=0,
            logging_steps=1,
            save_strategy="no",
            remove_unused_columns=False,
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            seed=0,
        ),
        train_dataset=rows(24),  # type: ignore[arg-type]
        data_collator=lambda batch: collate(batch, pad_token_id=0),
        number_loss=loss,
        validate=dict,
    )
    trainer.train()
    return model.table.weight.detach(), trainer.state.log_history


def number_loss() -> Any:
    from ntil import NTIL, NumberVocab, WithCrossEntropy

    vocab = NumberVocab.from_texts([*"_0123456789."])
    return WithCrossEntropy(NTIL(vocab, noise_scale=0.0), balance="none")


@pytest.mark.parametrize("make", [CrossEntropy, number_loss], ids=["ce", "ntil"])
def test_accumulation_changes_nothing(make: Any, tmp_path: Path) -> None:
    whole, log = trained_line(tmp_path, 8, 1, make())
    parts, log_parts = trained_line(tmp_path, 4, 2, make())
    assert not torch.allclose(whole, Line().table.weight)
    torch.testing.assert_close(whole, parts, rtol=1e-5, atol=1e-6)
    for one, other in zip(log, log_parts, strict=True):
        for key in ("loss", "ce", "number", "emd", "grad_norm"):
            assert (key in one) == (key in other)
            assert one.get(key, 0.0) == pytest.approx(other.get(key, 0.0), rel=1e-4), key


def test_sgd_takes_the_gradient_of_the_loss(tmp_path: Path) -> None:
    """One step by hand: row t of the logits predicts token t + 1, the mean is over the supervised ones."""
    after, _ = trained_line(tmp_path, 24, 1, CrossEntropy(), steps=1)
    model = Line()
    ids = torch.stack([row["input_ids"] for row in rows(24)])
    logits = model.table(ids[:, 1:3])
    torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 2:].flatten()).backward()
    assert model.table.weight.grad is not None
    torch.testing.assert_close(after, (model.table.weight - 0.5 * model.table.weight.grad).detach())


def test_the_parts_of_the_loss_are_logged(finished: Path, workplace: Path) -> None:
    for row in read_jsonl(finished / "train.jsonl"):
        if "loss" in row:
            assert {
                "ce",
                "number",
                "emd",
                "relative",
                "magnitude",
                "grad_norm",
                "learning_rate",
            } <= row.keys()
            assert row["number"] == pytest.approx(
                row["emd"] + 0.2 * (row["relative"] + row["magnitude"]), rel=1e-4
            )
            assert row["loss"] == pytest.approx(1.3 * row["ce"], rel=1e-4)  # ce_ratio: CE + 0.3 · CE
    validation = [row for row in read_jsonl(finished / "train.jsonl") if "val/exact" in row]
    assert [row["step"] for row in validation] == [2, 3]
    assert all(
        "gap_plain" not in key or value is not None for row in validation for key, value in row.items()
    )


def test_only_the_supervised_positions_are_projected(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = []
    original = NumberTrainer.compute_loss

    def compute_loss(
        self: NumberTrainer, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        longest = int((inputs["labels"] != -100).sum(-1).max())
        loss, outputs = original(self, model, inputs, return_outputs=True)
        shapes.append((outputs.logits.shape[1], longest))
        return loss

    monkeypatch.setattr(NumberTrainer, "compute_loss", compute_loss)
    train(workplace, "positions", "trainer.max_steps=2")
    assert shapes
    assert all(kept == longest + 1 for kept, longest in shapes)


def test_terms_of_a_new_loss_are_logged_under_their_names(tmp_path: Path) -> None:
    """No list of names stands anywhere but in the loss."""
    from ntil import NumberLoss, NumberVocab, WithCrossEntropy
    from ntil.losses import Term

    class Toy(NumberLoss):
        names = ("warm", "cold")

        def terms(self, columns: Any, spans: Any, normaliser: Any) -> dict[str, Term]:
            size = columns[0].square().sum(-1) * spans.is_number
            return {"warm": Term(size, spans.width), "cold": Term(2 * size, spans.width, weight=0.5)}

    vocab = NumberVocab.from_texts([*"_0123456789."])
    _, log = trained_line(tmp_path, 8, 1, WithCrossEntropy(Toy(vocab), balance="none"))
    logged = [row for row in log if "loss" in row]
    assert len(logged) == 3
    for row in logged:
        assert row["cold"] == pytest.approx(2 * row["warm"])
        assert row["warm"] > 0
        assert row["number"] == pytest.approx(row["warm"] + 0.5 * row["cold"])
        assert row["loss"] == pytest.approx(row["ce"] + 0.3 * row["number"], rel=1e-4)


@pytest.mark.parametrize("name", ["ntl_was", "dist2", "smmd", "del", "gaussian_ce"])
def test_rivals_log_their_terms(workplace: Path, name: str) -> None:
    folder = train(workplace, f"rival-{name}", f"loss={name}", "trainer.max_steps=1")
    term = losses(folder, name)
    assert len(term) == 1
    assert all(value > 0 for value in term.values())
