"""The command as a user meets it: what it prints, what it draws, and how it refuses."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from ntil.commands import main
from ntil.explain.words import findings, ordinal

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")


def explain(*arguments):
    return main(["explain", *arguments])


def row(out, name):
    """The cells of the first row with this name."""
    (line, *_) = (line for line in out.splitlines() if line.strip().startswith(name))
    return re.split(r"\s{2,}", line.strip())[1:]


def test_the_motivating_example(capsys):
    assert explain("0.98", "1.01", "1.98") == 0
    out = capsys.readouterr().out
    assert row(out, "off by")[:3] == ["0", "0.03", "1"]
    assert row(out, "wrong digits") == ["0", "3", "1"]
    assert row(out, "digit EMD")[:4] == ["0.000", "6.267", "0.333", "1.98 ✗"]
    assert row(out, "relative")[:3] == ["0.000", "0.740", "0.250"]
    assert row(out, "magnitude")[:3] == ["0.000", "2.298", "0.347"]
    assert row(out, "= NTIL ")[:4] == ["0.000", "6.874", "0.453", "1.98 ✗"]
    assert row(out, "= NTIL decimal")[:4] == ["0.000", "0.020", "0.629", "1.01 ✓"]
    said = " ".join(out.split())
    assert (
        "NTIL in digits format (as released) reads 0.98 as the numbers 0 and 98 and favours 1.98, which is not"
        in said
    )
    assert "NTIL in decimal format (ours) reads 0.98 as one number and favours 1.01, the nearest" in said
    assert "not confirmed as the paper's" in said
    with Image.open("explain.png") as picture:
        assert picture.width > 1200
        assert picture.height > 700
        assert len(picture.convert("RGB").getcolors(2**24)) > 500


@pytest.mark.parametrize("columns", [80, 120, 200])
@pytest.mark.parametrize(
    "texts",
    [
        ("0.98", "1.01", "1.98"),
        ("7", *"12345689"),
        ("123456", "123457", "923456"),
        ("50", "49"),
        ("50", "50"),
    ],
    ids=str,
)
def test_it_fits_the_terminal(texts, columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("ntil.explain.command.draw", lambda *_: None)
    assert explain(*texts) == 0
    out = capsys.readouterr().out
    assert max(len(line) for line in out.splitlines()) <= columns
    assert "…" not in out
    assert all(text in out for text in texts)
    assert "how unexpected each token is" in out  # the rows are explained, in the table or below it


def test_equal_cross_entropy_is_spelled_out(capsys, monkeypatch):
    monkeypatch.setattr("ntil.explain.command.draw", lambda *_: None)
    assert explain("345", "344", "945") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert re.search(
        r"Cross-entropy charges 344 and 945 the same \(\d\.\d{3}\): each has 1 wrong digit, though they are 1 and 600",
        said,
    )


@pytest.mark.parametrize(
    ("texts", "same", "fewer"),
    [
        (("345", "344", "945"), True, False),
        (("0.98", "1.98", "1.01"), False, True),
        (("50", "51", "99"), False, False),  # the nearest also has fewest wrong digits
        (("50", "49", "10", "11"), True, True),
        (("345", "344"), False, False),
    ],
)
def test_what_is_said_of_cross_entropy_follows_from_the_numbers(report, texts, same, fewer):
    said = " ".join(findings(report(*texts)))
    assert ("the same (" in said) == same
    assert ("counts wrong digits" in said) == fewer


def test_the_sign_stays_with_cross_entropy(capsys, monkeypatch):
    monkeypatch.setattr("ntil.explain.command.draw", lambda *_: None)
    assert explain("-5", "+5", "-6") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "The sign is no digit" in said


def test_multi_digit_tokens(wide, capsys, monkeypatch):
    monkeypatch.setattr("ntil.explain.command.draw", lambda *_: None)
    assert explain("2024", "2023", "1024", "--tokenizer", str(wide.parent)) == 0
    out = capsys.readouterr().out
    assert "202·4" in out
    assert "wrong tokens" in out
    assert "tokens of any width (ours)" in " ".join(out.split())


def test_the_picture_goes_where_it_is_told(capsys):
    assert explain("7", "8", "1", "--png", "new/folder/seven.png") == 0
    assert Path("new/folder/seven.png").stat().st_size > 20_000
    assert not Path("explain.png").exists()
    assert "all 10 predictions: new/folder/seven.png" in capsys.readouterr().out


def test_no_picture_of_many_digits(capsys):
    assert explain("12345", "12346") == 0
    assert "No picture: " in capsys.readouterr().out
    assert not Path("explain.png").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["abc", "1"], "'a'"),
        (["-", "+"], "no number token"),
        (["50", "5"], "Pad with zeros: '05'"),
        (["0.98", "10.1"], "the point in the same place"),
        (["-5", "5"], "stays with cross-entropy"),
        (["5", "4", "--sure", "1"], "--sure 1"),
        (["5", "4", "--sure", "0.01"], "1/21"),
        (["5", "4", "--sure", "nan"], "--sure nan"),
        (["5", "4", "--tokenizer", "nowhere"], "nowhere does not exist"),
        (["5", "4", "--tokenizer", "bad.json"], "bad.json is no tokenizer.json"),
        (["5", "4", "--tokenizer", "words.json"], "no number tokens"),
        (["5", "4", "--png", "five.pdf"], "must end in .png"),
        (["5", "4", "--png", "file/five.png"], "cannot write file/five.png"),
        (["5", "4", "--png", "folder.png"], "cannot write folder.png"),
        (["50", *(str(n) for n in range(10, 20))], "at most 8"),
    ],
    ids=str,
)
def test_mistakes_are_explained(arguments, said, capsys):
    from tokenizers import Tokenizer, models

    Path("file").write_text("")
    Path("folder.png").mkdir()
    Path("bad.json").write_text("{")
    Tokenizer(models.WordLevel({"five": 0}, unk_token="five")).save("words.json")
    assert explain(*arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert said in err
    assert err.count("\n") == 1
    assert not Path("explain.png").exists()


def test_help_teaches(capsys):
    with pytest.raises(SystemExit) as end:
        explain("--help")
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert "ntil explain 0.98 1.01 1.98" in out
    assert "--tokenizer" in out


def test_without_matplotlib_there_is_no_picture(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert explain("5", "4") == 0
    assert "No picture: it needs matplotlib (pip install 'ntil[explain]')." in capsys.readouterr().out
    assert not Path("explain.png").exists()


def test_without_tokenizers_the_option_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    assert explain("5", "4", "--tokenizer", ".") == 2
    assert "`explain` needs tokenizers: pip install 'ntil[explain]'" in capsys.readouterr().err


OTHERS = (
    *(
        "rich",
        "matplotlib",
        "numpy",
        "transformers",
        "tokenizers",
        "PIL",
        "hydra",
        "omegaconf",
        "yaml",
        "pandas",
    ),
    *(
        "accelerate",
        "safetensors",
        "regex",
        "shapely",
        "pycocotools",
        "peft",
        "trl",
        "datasets",
        "psutil",
        "wandb",
    ),
)


def alone(*arguments, columns=100):
    code = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {OTHERS}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from ntil.commands import main
code = main({list(arguments)})
assert not set(sys.modules) & set({OTHERS}), "nothing else was imported"
sys.exit(code)
"""
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": str(columns)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_torch_alone_is_enough():
    done = alone("explain", "0.98", "1.01", "1.98")
    assert done.returncode == 0, done.stderr
    out = done.stdout
    assert row(out, "off by") == ["0", "0.03", "1"]
    assert row(out, "digit EMD") == ["0.000", "6.267", "0.333", "1.98 ✗"]
    assert row(out, "= NTIL decimal") == ["0.000", "0.020", "0.629", "1.01 ✓"]
    assert "reads 0.98 as one number and favours 1.01, the nearest" in " ".join(out.split())
    assert "how unexpected each token is" in out
    assert "No picture: it needs matplotlib" in out
    assert "Traceback" not in done.stderr


def test_torch_alone_explains_mistakes_too():
    done = alone("explain", "50", "5")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize("texts", [("0.98", "1.01", "1.98"), ("7", *"12345689"), ("50", "50")], ids=str)
def test_plain_text_has_the_cells_of_the_table(texts, columns, capsys, monkeypatch):
    monkeypatch.setattr("ntil.explain.command.draw", lambda *_: None)
    monkeypatch.setenv("COLUMNS", "200")
    assert explain(*texts) == 0
    rich = capsys.readouterr().out
    monkeypatch.setitem(sys.modules, "rich", None)
    monkeypatch.setenv("COLUMNS", str(columns))
    assert explain(*texts) == 0
    plain = capsys.readouterr().out
    assert plain != rich
    assert max(len(line) for line in plain.splitlines()) <= max(columns, 62)
    shown = 1 + len(set(texts[1:]) - {texts[0]})
    for name in ("wrong", "cross-entropy", "= NTIL ", "DEL", "SMMD"):
        cells = [
            cell
            for line in plain.split("What the rows measure")[0].splitlines()
            if line.strip().startswith(name)
            for cell in re.split(r"\s{2,}", line.strip())[1:]
        ]
        assert set(row(rich, name)[:shown]) <= set(cells)


def test_help_needs_torch_alone():
    code = "import sys, ntil.commands, ntil.explain; print({'rich', 'matplotlib', 'tokenizers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "set()", done.stderr


def test_ordinals_in_words():
    assert [ordinal(n) for n in (1, 2, 3, 7, 11, 21)] == ["1st", "2nd", "3rd", "7th", "11th", "21st"]
