"""The losses of the benchmarks do the same work; what they print is what the README quotes."""

import csv
from pathlib import Path

import pytest
import torch

from experiments.bench import figure, linear, losses, measure, share, step
from experiments.bench.__main__ import main
from experiments.bench.measure import can_weigh, memory_cells, peak_memory, take_turns, time_cells
from experiments.bench.timed import BASELINE, FUSED, LOOPS, Workload, timed_losses

SMALL = Workload(2, 8, 1200, 0.5, "float32", 1)


def test_supervised_positions_only_give_the_same_gradients() -> None:
    full, kept = (step.step(way, hidden=32, batch=1)() for way in step.WAYS)
    assert full.keys() == kept.keys()
    for name, gradient in full.items():
        if gradient is None or kept[name] is None:
            assert gradient is kept[name] is None, name
        else:
            torch.testing.assert_close(gradient, kept[name], rtol=1e-4, atol=1e-6)


def test_chunked_gives_the_gradients_of_full_logits() -> None:
    ways = {way: linear.step(way, tokens=70, vocabulary=1200, hidden=8)() for way in linear.WAYS}
    for way in (linear.WAYS[2], linear.CHUNKED):
        for ours, full in zip(ways[way], ways[linear.FULL], strict=True):
            torch.testing.assert_close(ours, full, rtol=1e-4, atol=1e-7)
    assert not torch.allclose(ways[linear.WAYS[1]][0], ways[linear.FULL][0])  # without the number loss


def test_the_loops_are_the_same_loss() -> None:
    torch.manual_seed(0)
    logits, labels = SMALL.inputs("cpu")
    timed = timed_losses(SMALL.vocabulary, loops=True)
    assert next(iter(timed)) == BASELINE
    assert timed[LOOPS](logits.double(), labels).item() == pytest.approx(
        timed["NTIL"](logits, labels).item(), rel=0.02
    )


def test_the_share_is_of_a_step_that_trains() -> None:
    """The step that is cut into loss and rest gives the gradients of the one that is not."""
    small = {
        **share.SHAPE,
        "vocab_size": 1200,
        "hidden_size": 36,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
    }
    step_of = share.Step(12, small, batch=2)
    loss = share.timed_losses(1200)[FUSED]
    before = [parameter.detach().clone() for parameter in step_of.model.parameters()]
    torch.manual_seed(1)  # NTIL draws noise
    seconds = step_of.run("ours", loss)
    after = [parameter.detach().clone() for parameter in step_of.model.parameters()]
    assert 0 < seconds < step_of.whole["ours"][0]
    for parameter, value in zip(step_of.model.parameters(), before, strict=True):
        parameter.data.copy_(value)
    optimizer = torch.optim.AdamW(step_of.model.parameters(), lr=1e-5, fused=True)
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16):
        logits = step_of.model(input_ids=step_of.ids).logits
    kept = slice(-share.ANSWER - 1, -1)
    loss(logits[:, kept], step_of.ids[:, -share.ANSWER :]).backward()
    optimizer.step()
    for parameter, value, old in zip(step_of.model.parameters(), after, before, strict=True):
        assert not torch.equal(value, old)
        torch.testing.assert_close(parameter.detach(), value, rtol=0, atol=2e-6)


def test_jobs_take_turns_after_one_to_warm_up() -> None:
    called: list[str] = []
    jobs = {name: lambda name=name: called.append(name) or float(len(called)) for name in "ab"}
    assert take_turns(jobs, 2) == {"a": [3.0, 5.0], "b": [4.0, 6.0]}
    assert "".join(called) == "ababab"


def test_a_ratio_is_of_the_same_turn() -> None:
    cells = time_cells([1.0, 8.0, 3.0], [2.0, 4.0, 6.0])
    assert cells == {"milliseconds": 3000.0, "ratio": 0.5, "ratio_low": 0.5, "ratio_high": 2.0}
    assert memory_cells(1.0, 4.0) == {"peak_mb": 1.0, "memory_ratio": 0.25}
    assert memory_cells(None, 4.0) == {"peak_mb": "", "memory_ratio": ""}


def test_ways_are_compared_with_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    peaks = {"slow": 8.0, "quick": 2.0}
    monkeypatch.setattr(measure, "can_weigh", lambda device: True)
    monkeypatch.setattr(measure, "peak_memory", lambda module, device, way: peaks[way])
    monkeypatch.setattr(measure, "timed", lambda work: work())
    steps = {"slow": lambda: 4.0, "quick": lambda: 1.0}
    slow, quick = measure.compare_ways({"tokens": 7}, "a.module", steps, 2, lambda: None)
    assert (slow["way"], slow["ratio"], slow["memory_ratio"]) == ("slow", 1.0, 1.0)
    assert (quick["tokens"], quick["ratio"], quick["memory_ratio"], quick["repeats"]) == (7, 0.25, 0.25, 2)


@pytest.mark.skipif(not can_weigh("cpu"), reason="reads a process's peak from Linux's /proc")
def test_peak_memory_sees_the_gradient() -> None:
    setting = {"batch": 4, "tokens": 128, "vocabulary": 32_000, "digit_share": 0.24, "dtype": "float32"}
    peak = peak_memory("experiments.bench.losses", name=FUSED, **setting)
    logits = 4 * 128 * 32_000 * 4 / 2**20
    assert 0.9 * logits < peak < 1.5 * logits


def test_the_command_writes_rows_and_a_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shape = ["--shapes", "8x256x1200", "--digit-shares", "0.24", "--no-memory", "--no-loops"]
    assert main(["losses", *shape, "--repeats", "1", "--results", str(tmp_path)]) == 0
    assert "CE + NTIL" in capsys.readouterr().out
    with (tmp_path / "bench.csv").open(encoding="utf-8") as file:
        rows = {row["loss"]: row for row in csv.DictReader(file)}
    assert float(rows[BASELINE]["ratio"]) == 1
    again = ["--shapes", "2x8x1200", "--digit-shares", "0.24", "--no-memory", "--no-loops", "--repeats", "1"]
    assert main(["losses", *again, "--results", str(tmp_path)]) == 0
    kept = losses.read_rows(tmp_path / "bench.csv")
    assert [row for row in kept if row["tokens"] == "256"] == list(rows.values())  # other settings stay
    assert len(kept) == 2 * len(rows)
    assert main(["figure", "--results", str(tmp_path)]) == 2  # none of the shapes that it shows
    assert "neither of the settings" in capsys.readouterr().err
    text = (tmp_path / "bench.csv").read_text().replace("8,256,1200", "8,256,32000")
    (tmp_path / "bench.csv").write_text(text)
    assert main(["figure", "--results", str(tmp_path)]) == 0
    assert (tmp_path / "figures" / "bench.svg").exists()
    assert figure.SETTINGS[0] in losses.SETTINGS


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["loses"], "no part 'loses'"),
        (["losses", "--shapes", "8x256"], "BxTxV"),
        (["--repeats", "0"], "--repeats 0"),
    ],
)
def test_mistakes_are_one_message(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert message in capsys.readouterr().err


def test_the_readme_quotes_the_rows() -> None:
    root = Path(__file__).parents[3]
    with (root / "results" / "bench_step.csv").open(encoding="utf-8") as file:
        (_, kept) = csv.DictReader(file)
    text = " ".join((root / "README.md").read_text(encoding="utf-8").split())
    assert (
        f"{float(kept['ratio']):.2f} of the time and {float(kept['memory_ratio']):.2f} of the memory" in text
    )
