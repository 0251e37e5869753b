"""Checks the files of a model's folder before a library reads them: a folder may come from anybody.

Each must be what its name says, and no number in a configuration may ask for more than the weights beside it
can hold. Loads nothing; knows neither tokenizers nor models.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from iteralign.engines.patterns import costly, patterns_of
from iteralign.errors import EngineError
from iteralign.foreign.errors import Unreadable, short
from iteralign.foreign.json import named, read_object

_MODEL = ("config.json", "generation_config.json", "adapter_config.json")
_TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "chat_template.json",
)
LARGEST = 32 << 20
_LARGE = 1 << 28
_LARGER = {"tokenizer.json": _LARGE, "vocab.json": _LARGE}
"""Bytes of a JSON file, at most; of others ``LARGEST``: an index of some 100,000 tensors has ten million."""
TRUSTED: Final = "ITERALIGN_TRUST_PATTERNS"
"""The environment variable with the names of costly patterns that a user has read, and takes nevertheless."""
_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_decoder_layers")
_MOST_LAYERS = 2000
_SIZES = ("vocab_size", "hidden_size", "n_embd", "d_model", "intermediate_size", "n_inner", "ffn_dim")
_PER_BYTE = 16
"""Weights that a byte holds, at most, and some room: packed ones of one bit have eight."""
_WEIGHTS = (".safetensors", ".bin")
_MOST_RANK = 1 << 16
_PLAIN = re.compile(r"[A-Za-z0-9_][\w.+=@, -]{0,200}", re.ASCII)
"""The name of a file of weights: no path, nothing that a system would read otherwise."""


def must_be_sound(folder: Path, *, tokenizer: bool = True) -> None:
    """Raises ``EngineError`` naming the file of a model's folder that is not what it must be, and why.

    Without ``tokenizer``, its files, which may be large, are passed over.
    """
    names = [*_MODEL, *(_TOKENIZER if tokenizer else ())]
    for file in [*(folder / n for n in names), *sorted(folder.glob("*.index.json"))]:
        if not file.is_file():
            continue
        try:
            found = read_object(file, _LARGER.get(file.name, LARGEST))
        except (Unreadable, OSError) as error:
            raise EngineError(f"{file} cannot be read: {error}") from error
        why = None
        if file.name.endswith(".index.json"):
            why = _index(found)
        elif file.name == "tokenizer.json":
            why = _patterns(found)
        elif file.name == "config.json":
            why = _config(found, _bytes(folder))
        elif file.name == "adapter_config.json":
            why = _adapter(found)
        if why is not None:
            raise EngineError(f"{file}: {why}")


def weights_named(file: Path) -> list[str]:
    """The files that an index of weights names. Raises ``EngineError``."""
    try:
        found = read_object(file, LARGEST)
    except (Unreadable, OSError) as error:
        raise EngineError(f"{file} cannot be read: {error}") from error
    why = _index(found)
    if why is not None:
        raise EngineError(f"{file}: {why}")
    return sorted(set(found["weight_map"].values()))


def config_of(folder: Path) -> dict[str, Any]:
    """A model's configuration; empty where it is not there, or cannot be read."""
    try:
        return read_object(folder / "config.json", LARGEST)
    except (Unreadable, OSError):
        return {}


def adapter_base(file: Path) -> str:
    """The model that an adapter's configuration names as its base. Raises ``EngineError``."""
    try:
        name = read_object(file, LARGEST).get("base_model_name_or_path")
    except (Unreadable, OSError) as error:
        raise EngineError(f"{file} cannot be read: {error}") from error
    if not name or not isinstance(name, str):
        raise EngineError(f"{file} does not name the base model (base_model_name_or_path)")
    return name


def _index(found: Mapping[str, Any]) -> str | None:
    names = found.get("weight_map")
    if not isinstance(names, dict):
        return f"weight_map must be an object, found {named(names)}"
    for name in names.values():
        if not isinstance(name, str):
            return f"weight_map names files, found {named(name)}"
        if not _PLAIN.fullmatch(name):
            return f"weight_map names {name[:80]!a}, which is not in this folder"
        if not name.endswith(_WEIGHTS):
            return f"weight_map names {name[:80]!a}, which holds no weights"
    return None


def _config(config: Mapping[str, Any], size: int) -> str | None:
    kind = config.get("model_type")
    if kind is not None and not isinstance(kind, str):
        return f"model_type must be a text, found {named(kind)}"
    for part in _parts(config):
        for key in (*_LAYERS, *_SIZES):
            value = part.get(key)
            most = _MOST_LAYERS if key in _LAYERS else max(1, size * _PER_BYTE)
            if value is None or isinstance(value, list):
                continue
            if not isinstance(value, int) or isinstance(value, bool):
                return f"{key} must be a whole number, found {named(value)}"
            if size and not 0 <= value <= most:
                return f"{key} = {value:.6g} is more than the weights beside it can hold"
        hidden = next((part[k] for k in ("hidden_size", "n_embd", "d_model") if _is_size(part.get(k))), 0)
        for key in ("vocab_size", "intermediate_size"):
            if size and _is_size(part.get(key)) and part[key] * hidden > size * _PER_BYTE:
                return f"{key} = {part[key]} by {hidden} is more than the weights beside it can hold"
    return None


def _patterns(tokenizer: dict[str, Any]) -> str | None:
    trusted = os.environ.get(TRUSTED, "").replace(",", " ").split()
    for pattern in patterns_of(tokenizer):
        why = costly(pattern)
        name = sha256(pattern.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        if why is not None and name not in trusted:
            return (
                f"its pattern {short(pattern, 80)!a} could take all time on some text: {why}. Take the "
                "tokenizer from the model's own publisher. If you have read the pattern and trust it, set "
                f"{TRUSTED}={name}"
            )
    return None


def _parts(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield config
    yield from (v for k, v in config.items() if k.endswith("_config") and isinstance(v, dict))


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _adapter(config: Mapping[str, Any]) -> str | None:
    ranks = [config.get("r"), *(v if isinstance(v := config.get("rank_pattern"), dict) else {}).values()]
    for rank in ranks:
        if rank is not None and not (_is_size(rank) and 0 < rank <= _MOST_RANK):
            return f"r must be a whole number from 1 to {_MOST_RANK}, found {str(rank)[:40]}"
    return None


def _bytes(folder: Path) -> int:
    return sum(f.stat().st_size for f in folder.iterdir() if f.suffix in _WEIGHTS and f.is_file())
