"""Arguments that a recipe may give to the server of an engine. Knows no engine."""

from __future__ import annotations

import math
import re
from typing import Annotated, Final

from pydantic import AfterValidator

Value = bool | int | float | str
ARGUMENTS: Final = {
    "tensor-parallel-size": int,
    "pipeline-parallel-size": int,
    "data-parallel-size": int,
    "gpu-memory-utilization": float,
    "kv-cache-memory-bytes": int,
    "kv-cache-dtype": str,
    "cpu-offload-gb": float,
    "max-num-batched-tokens": int,
    "quantization": str,
    "block-size": int,
    "enforce-eager": bool,
    "enable-expert-parallel": bool,
    "disable-custom-all-reduce": bool,
}
"""Arguments of vLLM's server that a recipe may give, each with its type. A recipe may come from anybody: none
of them names code, a file or an address, and no value can be taken for an argument."""
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
_WANTED: Final = {
    int: "a whole number >= 0",
    float: "a number >= 0",
    bool: "a switch, `true` or `false`",
    str: "a word of letters, digits, `_`, `.` and `-` that begins with a letter or a digit",
}


def _known_arguments(given: dict[str, Value]) -> dict[str, Value]:
    for name, value in given.items():
        if name not in ARGUMENTS:
            raise ValueError(f"{name!r} is not an argument that may be given. Known: {', '.join(ARGUMENTS)}")
        if not _fits(ARGUMENTS[name], value):
            raise ValueError(f"{name} = {value!r}: it must be {_WANTED[ARGUMENTS[name]]}")
    return given


def _fits(kind: type, value: Value) -> bool:
    if kind is str:
        return isinstance(value, str) and _WORD.fullmatch(value) is not None
    if kind is bool or isinstance(value, bool | str):
        return kind is bool and isinstance(value, bool)
    return value >= 0 and math.isfinite(value) and (kind is float or isinstance(value, int))


EngineArguments = Annotated[dict[str, Value], AfterValidator(_known_arguments)]
