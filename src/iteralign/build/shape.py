"""How large a recipe's model is, and what device would take it: read from files and drivers, never loaded.

A part of the composition root.
"""

from __future__ import annotations

import math
import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from iteralign.build.models import base_folder
from iteralign.engines.limits import LARGEST, adapter_base, config_of
from iteralign.engines.weights import ADAPTER_FILE, cached_folder
from iteralign.errors import EngineError
from iteralign.foreign.errors import Unreadable
from iteralign.foreign.json import parse_object
from iteralign.recipe.iteralign import Recipe
from iteralign.recipe.training import TrainingSection
from iteralign.report.hardware import KNOWN, Device, Hardware, published
from iteralign.report.memory import Shape

SIZE_IN_NAME: Final = r"(?i)(?<![\d.])(\d+(?:\.\d+)?)b(?![a-z])"
"""``7b`` in a model's name: its parameters, in billions."""
_USUAL: Final = (
    Shape(parameters=1.1e9, layers=22, hidden=2048, inner=5632, vocabulary=32_000, cache_bytes=22_528),
    Shape(parameters=3e9, layers=28, hidden=3072, inner=8192, vocabulary=128_256, cache_bytes=114_688),
    Shape(parameters=7e9, layers=32, hidden=4096, inner=11_008, vocabulary=32_000, cache_bytes=524_288),
    Shape(parameters=13e9, layers=40, hidden=5120, inner=13_824, vocabulary=32_000, cache_bytes=819_200),
    Shape(parameters=34e9, layers=48, hidden=8192, inner=22_016, vocabulary=32_000, cache_bytes=196_608),
    Shape(parameters=70e9, layers=80, hidden=8192, inner=28_672, vocabulary=128_256, cache_bytes=327_680),
)
"""What models of these sizes look like, where only a name is known."""
_LAYERS: Final = ("num_hidden_layers", "n_layer", "num_layers")
_HIDDEN: Final = ("hidden_size", "n_embd", "d_model")
_HEADS: Final = ("num_attention_heads", "n_head")
_GROUP_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")
_DRIVERS: Final = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
"""Where a driver of a GPU shows itself: without one, torch is not imported to look."""


def shape_of(recipe: Recipe) -> Shape | None:
    """Return the size of the recipe's model: from its files where they are here, else by its name's ``7b``.

    None: not known.
    """
    folder = _whole(recipe)
    if folder is not None:
        return _from_files(folder)
    found = re.search(SIZE_IN_NAME, recipe.model.name)
    if found is None or not (size := float(found[1]) * 1e9):
        return None
    usual = min(_USUAL, key=lambda s: abs(math.log(s.parameters / size)))
    return Shape(
        parameters=size,
        **{k: getattr(usual, k) for k in ("layers", "hidden", "inner", "vocabulary", "cache_bytes")},
    )


def settled(recipe: Recipe) -> TrainingSection:
    """Return the recipe's training with ``keep_adapter`` decided by the model's size."""
    if isinstance(recipe.training.keep_adapter, bool):
        return recipe.training
    shape = shape_of(recipe)
    return recipe.training.settled(
        None if shape is None else shape.parameters, served=recipe.model.engine != "hf"
    )


def width_of(recipe: Recipe, device: Device | None) -> int:
    """Return the bytes of a weight that answers."""
    dtype = recipe.model.dtype
    narrow = dtype != "float32" if dtype != "auto" else device is None or device.kind == "gpu"
    return 2 if narrow else 4


def device_at_hand(recipe: Recipe) -> Device | None:
    """Return what a run here would take; None where ``model.device`` names what is not here.

    torch is asked only where a driver is there.
    """
    host = host_memory()
    asked = recipe.model.device
    if asked != "cpu" and find_spec("torch") is not None and _has_driver():
        import torch

        if torch.cuda.is_available():
            found = torch.cuda.get_device_properties(0)
            known = published(found.name)
            hardware = Hardware(
                known.flops if known else None, known.bandwidth if known else None, found.total_memory
            )
            count = torch.cuda.device_count()
            return Device(
                name=f"this {found.name}" + (f" x{count}" if count > 1 else ""),
                hardware=hardware,
                count=count,
                here=True,
                host=host,
            )
        if torch.backends.mps.is_available():
            shared = Hardware(None, None, host or KNOWN["cpu"].memory)
            return Device(name="this machine's GPU", hardware=shared, kind="cpu", here=True, host=host)
    if asked not in ("auto", "cpu") or host is None:
        return None
    cpu = KNOWN["cpu"]
    hardware = Hardware(cpu.flops, cpu.bandwidth, host)
    return Device(name="this machine's CPU", hardware=hardware, kind="cpu", here=True, host=host)


def host_memory() -> float | None:
    """Return the bytes of memory that a process here may take; None where the system does not say."""
    try:
        there = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return None
    try:
        return min(there, float(_GROUP_LIMIT.read_text(encoding="ascii")))
    except (OSError, ValueError):  # no such group, or "max"
        return there


def _has_driver() -> bool:
    return sys.platform in ("darwin", "win32") or any(Path(p).exists() for p in _DRIVERS)


def _whole(recipe: Recipe) -> Path | None:
    """The folder of the whole model, also where the recipe names an adapter; None where it is not here."""
    folder: Path | None = base_folder(recipe)
    if folder is not None and not folder.is_dir():
        folder = cached_folder(recipe.model.name)
    if folder is not None and (folder / ADAPTER_FILE).is_file():
        try:
            base = adapter_base(folder / ADAPTER_FILE)
        except EngineError:
            return None
        folder = Path(base) if Path(base).is_dir() else cached_folder(base)
    return folder if folder is not None and (folder / "config.json").is_file() else None


def _from_files(folder: Path) -> Shape | None:
    config = config_of(folder)
    inside = config.get("text_config")
    config = inside if isinstance(inside, dict) else config
    layers, hidden, heads = (_number(config, *names) for names in (_LAYERS, _HIDDEN, _HEADS))
    parameters = sum(_weights_in(file) for file in folder.glob("*.safetensors"))
    parameters = parameters or sum(p.stat().st_size / 2 for p in folder.glob("pytorch_model*.bin"))
    if not (layers and hidden and heads and parameters):
        return None
    head = _number(config, "head_dim") or hidden / heads
    kept = _number(config, "num_key_value_heads") or heads
    return Shape(
        parameters=parameters,
        layers=layers,
        hidden=hidden,
        inner=_number(config, "intermediate_size", "n_inner", "ffn_dim") or 4 * hidden,
        vocabulary=_number(config, "vocab_size"),
        cache_bytes=2 * 2 * layers * kept * head,
    )


def _number(config: dict[str, Any], *names: str) -> int:
    """The first of these that is a whole number above nought, else 0."""
    return next((n for k in names if isinstance(n := config.get(k), int) and n > 0), 0)


def _weights_in(file: Path) -> float:
    """How many numbers a file of weights holds, by its header; half its bytes where that is not readable."""
    size = file.stat().st_size
    try:
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            if length > LARGEST:
                return size / 2
            tensors = parse_object(opened.read(length).decode("utf-8"))
        return float(sum(math.prod(t["shape"]) for name, t in tensors.items() if name != "__metadata__"))
    except (OSError, ValueError, KeyError, TypeError, Unreadable):
        return size / 2
