"""What only a GPU can show (`pytest -m gpu`); docs/devices.md lists the commands."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from fixtures import REPOSITORY, in_folder, run
from several import SUMS, differences, same_results, torchrun

from ntil.io import read_json

pytestmark = pytest.mark.gpu
two_gpus = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")


@pytest.fixture(scope="module", autouse=True)
def a_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")


def trained(workplace: Path, name: str, *more: str) -> Path:
    ran = run("train", *SUMS, *in_folder(workplace), "trainer.batch_size=16", f"name={name}", *more)
    assert ran.code == 0, ran.err
    return workplace / "outputs" / "runs" / name


def test_one_gpu_trains_and_says_so(workplace: Path) -> None:
    folder = trained(workplace, "gpu")
    assert read_json(folder / "provenance.json")["device"] == torch.cuda.get_device_name()


def test_deterministic_runs_agree_to_the_last_digit(workplace: Path) -> None:
    one, other = (trained(workplace, name, "trainer.deterministic=true") for name in ("same1", "same2"))
    assert max(differences(one, other)) == 0
    same_results(one, other)


def test_a_gpu_computes_what_a_cpu_does(workplace: Path) -> None:
    gpu = trained(workplace, "on_gpu")
    done = subprocess.run(
        [
            sys.executable,
            str(REPOSITORY / "train.py"),
            *SUMS,
            *in_folder(workplace),
            "trainer.batch_size=16",
            "name=on_cpu",
        ],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        check=True,
        capture_output=True,
    )
    assert done.returncode == 0
    apart = differences(gpu, gpu.with_name("on_cpu"))
    assert apart.loss < 1e-3
    assert apart.weights < 1e-3


@pytest.mark.parametrize(
    "setting", ["trainer.tf32=true", "trainer.precision=bf16", "trainer.torch_compile=true"]
)
def test_settings_for_gpus(workplace: Path, setting: str) -> None:
    folder = trained(workplace, setting.replace("=", "_"), setting)
    assert differences(trained(workplace, "plain"), folder).loss < 0.1


def test_liger_changes_little(workplace: Path) -> None:
    pytest.importorskip("liger_kernel")
    more = ("model=qwen2_5_tiny", "trainer=default", "trainer.max_steps=4")
    plain, fast = (
        trained(workplace, "no_liger", *more),
        trained(workplace, "liger", *more, "trainer.liger=true"),
    )
    assert differences(plain, fast).loss < 1e-2


@two_gpus
@pytest.mark.parametrize("sharding", ["none", "fsdp", "zero2", "zero3"])
def test_two_gpus_are_one_run(workplace: Path, sharding: str) -> None:
    if sharding.startswith("zero"):
        pytest.importorskip("deepspeed")
    more = [] if sharding == "none" else ["model=qwen2_5_tiny", "trainer=default", "trainer.max_steps=4"]
    alone = trained(workplace, f"alone-{sharding}", *more)
    ended = torchrun(
        "train",
        *SUMS,
        *in_folder(workplace),
        *more,
        "trainer.batch_size=8",
        f"trainer.sharding={sharding}",
        f"name=both-{sharding}",
    )
    assert ended.code == 0, ended.said
    apart = differences(alone, alone.with_name(f"both-{sharding}"))
    assert apart.loss < 1e-3


@two_gpus
def test_four_bit_weights_lie_on_their_own_gpu(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    script = tmp_path / "where.py"
    script.write_text(
        "import torch, bitsandbytes as bnb\n"
        "from ntil.runs import processes\n"
        "processes.join()\n"
        "layer = bnb.nn.Linear4bit(64, 64).to('cuda')\n"
        "assert layer.weight.device.index == processes.local_rank(), layer.weight.device\n"
        "processes.leave()\n"
    )
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        str(script),
    ]
    subprocess.run(launch, check=True, cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": str(REPOSITORY)})
