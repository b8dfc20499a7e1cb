"""docs/add_a_loss.md, followed to the letter: two files, and the loss is explained, trained with and logged."""

from pathlib import Path

from fixtures import REPOSITORY, SMALL
from newcomers import blocks, checkout, run

from ntil.io import read_jsonl


def test_a_loss_is_two_files(tmp_path: Path) -> None:
    place = checkout(tmp_path / "checkout")
    (source,), (settings,) = blocks("add_a_loss.md", "python"), blocks("add_a_loss.md", "yaml")
    (place / "ntil/losses/squared_emd.py").write_text(source, encoding="utf-8")
    (place / "conf/loss/squared_emd.yaml").write_text(settings, encoding="utf-8")
    assert "Squared EMD" in run(place, "-m", "ntil", "explain", "345", "344", "945")
    run(place, "train.py", *SMALL, "loss=squared_emd", "name=new")
    rows = [row for row in read_jsonl(place / "outputs/runs/new/train.jsonl") if "loss" in row]
    assert len(rows) == 3
    assert all(row["squared_emd"] > 0 for row in rows)
    run(place, "evaluate.py", "run=outputs/runs/new", "splits=[val]")
    contract = REPOSITORY / "tests/losses/test_contract.py"
    paths = f"--override-ini=pythonpath={REPOSITORY / 'tests'}"
    said = run(
        place, "-m", "pytest", "-q", "-p", "no:cacheprovider", paths, str(contract), "-k", "SquaredEMD"
    )
    assert "passed" in said
