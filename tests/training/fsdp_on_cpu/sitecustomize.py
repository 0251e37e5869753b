"""On the path of processes: accelerate takes those on a CPU for GPUs, and FSDP2 runs on gloo.

accelerate switches FSDP on for GPUs alone; torch splits a model on a CPU, too.
"""

from __future__ import annotations

import os
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any


class _State(MetaPathFinder):
    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if name != "accelerate.state":
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path)
        assert spec is not None
        assert spec.loader is not None
        run = spec.loader.exec_module

        def execute(module: Any) -> None:
            import torch

            run(module)
            state = module.PartialState
            begin = state.__init__
            state.__init__ = lambda self, cpu=False, **more: begin(self, cpu=False, **more)
            state._prepare_backend = lambda self, *a, **k: ("gloo", module.DistributedType.MULTI_GPU)
            state.set_device = lambda self: setattr(self, "device", torch.device("cpu"))

        spec.loader.exec_module = execute  # type: ignore[method-assign]
        return spec


if "RANK" in os.environ:
    sys.meta_path.insert(0, _State())
