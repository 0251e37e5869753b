"""Arguments that a recipe may give to the server of an engine. Knows no engine."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator

ARGUMENTS: Final = (
    "tensor-parallel-size",
    "pipeline-parallel-size",
    "data-parallel-size",
    "gpu-memory-utilization",
    "kv-cache-memory-bytes",
    "kv-cache-dtype",
    "cpu-offload-gb",
    "max-num-batched-tokens",
    "quantization",
    "block-size",
    "enforce-eager",
    "enable-expert-parallel",
    "disable-custom-all-reduce",
)
"""Arguments of vLLM's server that a recipe may give: numbers and switches. A recipe may come from anybody:
none of them names code, a file or an address."""
_ARGUMENT: Final = re.compile(r"[A-Za-z0-9_.-]{1,40}")


def _known_arguments(given: dict[str, bool | int | float | str]) -> dict[str, bool | int | float | str]:
    for name, value in given.items():
        if name not in ARGUMENTS:
            raise ValueError(f"{name!r} is not an argument that may be given. Known: {', '.join(ARGUMENTS)}")
        if isinstance(value, str) and not _ARGUMENT.fullmatch(value):
            raise ValueError(f"{name} = {value!r} is not a number, a switch or a word")
    return given


EngineArguments = Annotated[dict[str, bool | int | float | str], AfterValidator(_known_arguments)]
