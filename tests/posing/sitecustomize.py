"""On PYTHONPATH of a test's processes, lets CPUs with gloo pose as GPUs, for which alone accelerate takes FSDP and DeepSpeed.

It is read by Python's start. accelerate is imported long after it, so the change waits for that import.
"""

import importlib.abc
import importlib.util
import sys
from types import ModuleType
from typing import Any


class _Posing(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != "accelerate.state":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.loader is not None
        run = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            _pose(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _pose(state: ModuleType) -> None:
    import torch

    kinds, partial = state.DistributedType, state.PartialState
    prepare = partial._prepare_backend

    def prepare_backend(self: Any, *args: Any, **kwargs: Any) -> tuple[str, Any]:
        _, kind = prepare(self, *args, **kwargs)
        return "gloo", kinds.MULTI_GPU if kind in (kinds.MULTI_CPU, kinds.NO) else kind

    def set_device(self: Any) -> None:
        self.device = torch.device("cpu")

    partial._prepare_backend, partial.set_device = prepare_backend, set_device


sys.meta_path.insert(0, _Posing())
