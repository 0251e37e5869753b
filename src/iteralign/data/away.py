"""Whether the Hugging Face hub can be reached: asked once, in seconds, before its clients are.

These would try again for half a minute. Knows no data set.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

SECONDS = 10


@contextmanager
def cache_alone_where_away(name: str) -> Iterator[list[str]]:
    """Within, the hub's clients look into their cache alone where the hub cannot be reached.

    ``name``: the data set that is asked for. Gives the reason why the hub is away, or nothing.
    """
    reason = _is_away(name)
    if reason is None:
        yield []
        return
    import datasets
    import huggingface_hub.constants as hub

    with patch.object(hub, "HF_HUB_OFFLINE", True), patch.object(datasets.config, "HF_HUB_OFFLINE", True):
        yield [reason]


def _is_away(name: str) -> str | None:
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError

    troubles: Any = (OSError, *HfHubHTTPError.__bases__)
    try:
        huggingface_hub.HfApi().dataset_info(name, timeout=SECONDS)
    except HfHubHTTPError:  # it answered
        return None
    except troubles as error:
        return (str(error).strip() or type(error).__name__).splitlines()[0]
    return None
