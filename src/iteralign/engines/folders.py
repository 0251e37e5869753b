"""Looks at a model folder before anything is started: is everything there that a load will need?

Reads names, sizes and headers alone; imports no torch and loads nothing. Says what is missing and the remedy.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from iteralign.engines import gguf
from iteralign.engines.limits import LARGEST, must_be_sound, weights_named
from iteralign.engines.packages import is_package
from iteralign.engines.weights import ADAPTER_FILE, cached_folder
from iteralign.errors import Unavailable
from iteralign.foreign.errors import Unreadable
from iteralign.foreign.json import read_object

_TOKENIZERS: Final = (
    *("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt", "tekken.json"),
    *("tiktoken.model", "sentencepiece.bpe.model", "qwen.tiktoken"),
)
_WEIGHTS: Final = ("model.safetensors", "pytorch_model.bin")
_INDEXES: Final = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_OTHERS: Final = {".h5": "TensorFlow", ".msgpack": "Flax", ".onnx": "ONNX", ".npz": "MLX", ".pth": "PyTorch"}
_HEADER: Final = 100_000_000
"""Bytes of a safetensors header, at most, as its library has it."""
_POINTER: Final = b"version https://git-lfs"
_FILES: Final = "config.json, the weights (*.safetensors) and the tokenizer (tokenizer.json)"


def must_be_whole(
    place: str, *, weights: bool = True, template: str | None = None, planned: bool = False
) -> None:
    """Check a model's folder, or a hub's in the cache. Raises ``Unavailable`` naming what is missing.

    Of a hub name that is not in the cache nothing can be said, but that it cannot come while the hub is
    switched off; where it is only ``planned``, that is no error. ``template``: the file of a chat template,
    where one is named.
    """
    if template is not None and not Path(template).is_file():
        raise Unavailable(
            f"model.chat_template = {template!r}: no such file. Name a jinja file, or drop the key"
        )
    if place.lower().endswith(gguf.SUFFIX) or gguf.is_gguf(place):
        if not is_package(place) and not Path(place).expanduser().exists():
            raise Unavailable(f"model {place!r}: no such file")
        gguf.must_be_whole(place, planned=planned)
        return
    if Path(place).is_file():
        raise Unavailable(f"model {place!r} is a file: give the folder that holds {_FILES}, or a GGUF file")
    folder = _folder(place, planned)
    if folder is None:
        return
    if (folder / ADAPTER_FILE).is_file():
        _adapter(folder, weights)
        return
    _whole(folder, weights, cached=not Path(place).is_dir())
    must_be_sound(folder)


def brings_template(place: str) -> bool | None:
    """Whether a model has a chat template of its own; None where its tokenizer is not on this machine."""
    if gguf.is_gguf(place):
        return gguf.brings_template(place)
    folder = Path(place) if Path(place).is_dir() else cached_folder(place)
    if folder is None or not any((folder / n).is_file() for n in (*_TOKENIZERS, "tokenizer_config.json")):
        return None
    if (folder / "chat_template.jinja").is_file() or (folder / "chat_template.json").is_file():
        return True
    return bool(_json(folder / "tokenizer_config.json", {}).get("chat_template"))


def _folder(place: str, planned: bool) -> Path | None:
    """The folder to look at; None for a hub name that would have to be fetched."""
    folder = Path(place)
    if folder.is_dir():
        return folder
    if folder.is_absolute() or place.startswith((".", "~")) or place.count("/") > 1:
        near = f"; {folder.parent} is there" if folder.parent.is_dir() and str(folder.parent) != "." else ""
        raise Unavailable(
            f"model {place!r} is no folder here{near}: give a folder with a model, or a hub name such as "
            "'owner/model'"
        )
    found = cached_folder(place)
    if (
        found is None
        and not planned
        and os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON")
    ):
        raise Unavailable(
            f"model {place!r} is neither a folder here nor in the cache, and HF_HUB_OFFLINE is set: unset "
            "it, or give a folder with a model"
        )
    return found


def _whole(folder: Path, weights: bool, cached: bool = False) -> None:
    names = sorted(p.name for p in folder.iterdir())
    if weights and not cached:
        _weights(folder, names)
    config = _json(folder / "config.json", None)
    if config is None:
        inner = [p.name for p in sorted(folder.iterdir()) if (p / "config.json").is_file()]
        hint = f" Folders in it hold models: {', '.join(inner[:5])}; name one." if inner else ""
        raise Unavailable(f"{folder}: no config.json, so that this is no model folder.{hint or _needed()}")
    if weights and "model_type" not in config and not config.get("architectures"):
        raise Unavailable(
            f"{folder / 'config.json'}: names no model_type: copy the model's own config.json again"
        )
    if not any(n in names for n in _TOKENIZERS):
        raise Unavailable(
            f"{folder}: no tokenizer (looked for {', '.join(_TOKENIZERS[:4])}, ...): copy the tokenizer "
            "files of the model it comes from into the folder (tokenizer.json, tokenizer_config.json)"
        )
    for name in names:
        if name in _TOKENIZERS or name == "tokenizer_config.json":
            _real(folder / name)


def _needed() -> str:
    return f" A model folder holds {_FILES}."


def _weights(folder: Path, names: Sequence[str]) -> None:
    if _WEIGHTS[0] in names:  # first, as transformers looks; an index beside it may be left over
        _sound(folder / _WEIGHTS[0])
        return
    for index in (n for n in _INDEXES if n in names):
        shards = weights_named(folder / index)
        missing = [s for s in shards if not (folder / s).is_file()]
        if missing:
            some = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
            raise Unavailable(
                f"{folder}: {len(missing)} of {len(shards)} shards of the weights are missing ({some}), "
                f"which {index} lists: copy or download them again"
            )
        for shard in shards:
            _sound(folder / shard)
        return
    own = next((n for n in _WEIGHTS if n in names), None)
    if own is not None:
        _sound(folder / own)
        return
    parts = [n for n in names if n.endswith((".safetensors", ".bin")) and "-of-" in n]
    if parts:
        raise Unavailable(
            f"{folder}: {len(parts)} shards of the weights, and no index that says what is where "
            f"({_INDEXES[0]}): copy or download it, too"
        )
    other = next((n for n in names if Path(n).suffix in _OTHERS), None)
    if "config.json" in names or other:
        held = f"; {other} is for {_OTHERS[Path(other).suffix]}" if other else ""
        raise Unavailable(
            f"{folder}: no weights (model.safetensors, or its shards with {_INDEXES[0]}){held}: copy or "
            "download them, too"
        )


def _adapter(folder: Path, weights: bool) -> None:
    """An adapter with its base: what it was trained on, as its file names it."""
    if weights:
        files = (folder / f"adapter_model.{form}" for form in ("safetensors", "bin"))
        own = next((file for file in files if file.is_file()), None)
        if own is None:
            raise Unavailable(
                f"{folder}: {ADAPTER_FILE} without the adapter's weights (adapter_model.safetensors): copy "
                "or download them, too"
            )
        _sound(own)
    base = _json(folder / ADAPTER_FILE, {}).get("base_model_name_or_path")
    if not base:
        raise Unavailable(
            f"{folder / ADAPTER_FILE}: does not name the base model (base_model_name_or_path): add it"
        )
    try:
        must_be_whole(str(base), weights=weights)
    except Unavailable as error:
        raise Unavailable(
            f"{folder}: the base model of this adapter: {error} (base_model_name_or_path of {ADAPTER_FILE} "
            "may name another place)"
        ) from error


def _sound(file: Path) -> None:
    """A file of weights is itself, and as long as its header says."""
    _real(file)
    if file.suffix != ".safetensors":
        return
    size = file.stat().st_size
    with file.open("rb") as data:
        length = int.from_bytes(data.read(8), "little")
        if not 2 <= length <= min(size - 8, _HEADER):
            raise Unavailable(f"{file}: no safetensors file, or cut short: copy or download it again")
        try:
            header = json.loads(data.read(length))
            ends = [v["data_offsets"][1] for k, v in header.items() if k != "__metadata__"]
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise Unavailable(f"{file}: its header cannot be read: copy or download it again") from error
    needed = 8 + length + max(ends, default=0)
    if size < needed:
        raise Unavailable(f"{file}: cut short ({size:,} of {needed:,} bytes): copy or download it again")


def _real(file: Path) -> None:
    """Not empty, and no pointer that a clone without Git LFS leaves."""
    if file.stat().st_size == 0:
        raise Unavailable(f"{file}: is empty: copy or download it again")
    with file.open("rb") as data:
        if data.read(len(_POINTER)) == _POINTER:
            raise Unavailable(
                f"{file}: is a pointer of Git LFS and not the file: run `git lfs pull` there, or download it"
            )


def _json(file: Path, otherwise: Any) -> Any:
    """The object in a file; ``otherwise`` where there is no file. Raises ``Unavailable``."""
    if not file.is_file():
        return otherwise
    _real(file)
    try:
        return read_object(file, LARGEST)
    except (OSError, Unreadable) as error:
        raise Unavailable(f"{file}: {error}: copy or download it again") from error
