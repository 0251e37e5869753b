"""Rows of a data set on the Hugging Face hub, through ``datasets``, or one file of it. Data only: no code of
a data set is ever run.

Knows nothing of prompts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

from iteralign.data.away import cache_alone_where_away
from iteralign.data.rows import Row
from iteralign.errors import DataError

OFFLINE: Final = (
    "offline, download the file elsewhere and give its path, or name its folder in the environment variable "
    "ITERALIGN_DATA"
)
_NAME: Final = re.compile(r"[\w.-]+/[\w.-]+")
_FILE: Final = re.compile(
    r"(?P<name>[\w.-]+/[\w.-]+)(?:/(?P<file>[^?]+))?(?:\?revision=(?P<revision>[^&?]+))?"
)
_READ: Final = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".txt", ".gz")
_OPTIONS: Final = ("config", "data_dir", "split", "revision")


_SCRIPT: Final = re.compile(r"scripts? (?:is|are) no longer|loading script|trust_remote_code", re.IGNORECASE)
PARQUET: Final = "refs/convert/parquet"
"""The branch in which the hub keeps every set as plain Parquet files."""


def parse_hub(address: str) -> tuple[str, dict[str, str]]:
    """Name and options of ``OWNER/NAME`` or ``OWNER/NAME?config=C&data_dir=D&split=S&revision=R``.

    Raises ``DataError``.
    """
    name, _, query = address.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = [k for k in options if k not in _OPTIONS]
    if not _NAME.fullmatch(name):
        raise DataError(
            f"hub:{address}: {name!r} is no data set's name. Write hub:OWNER/NAME, options behind it: "
            "?config=C&split=S"
        )
    if unknown or (query and not options):
        raise DataError(
            f"hub:{address}: unknown option {(unknown or [query])[0]!r}. Known: {', '.join(_OPTIONS)}"
        )
    return name, options


def hub_rows(address: str) -> list[Row]:
    """All rows of a hub set; without a split the one named ``train``, or the only one.

    Raises ``DataError`` when ``datasets`` is not installed, the hub cannot be reached, the set is not there,
    or a split must be named.
    """
    name, options = parse_hub(address)
    try:
        import datasets
    except ImportError as error:
        raise DataError(
            f"hub:{address}: reading from the hub needs datasets. Install it: pip install 'iteralign[train]'"
        ) from error
    away: list[str] = []
    try:
        with cache_alone_where_away(name) as away:
            loaded: Any = datasets.load_dataset(
                name,
                options.get("config"),
                data_dir=options.get("data_dir"),
                revision=options.get("revision"),
            )
    except Exception as error:  # it raises nearly anything, and network errors of its client
        reason = _told(error, away)
        if _SCRIPT.search(str(error)):
            raise DataError(
                f"hub:{address}: the set is made by a loading script, and no code of a set is run here. Take "
                f"its Parquet branch (hub:{name}?revision={PARQUET}, with config and split as usual), one of "
                f"its files (hub:{name}/FILE), or a file of your own ({reason})"
            ) from error
        raise DataError(
            f"hub:{address}: could not be loaded ({reason}). Check the name and the connection; {OFFLINE}."
        ) from error
    splits = list(loaded)
    split = options.get("split") or (
        "train" if "train" in splits else splits[0] if len(splits) == 1 else None
    )
    if split not in splits:
        asked = f"has no split {split!r}" if split else "has several splits"
        raise DataError(f"hub:{address}: {asked}. Name one: hub:{name}?split=... Splits: {', '.join(splits)}")
    table = loaded[split]
    labels = {  # numbers that stand for names: which number is bad, the set alone knows
        column: feature.int2str
        for column, feature in (getattr(table, "features", None) or {}).items()
        if isinstance(feature, datasets.ClassLabel)
    }
    return [
        Row(
            f"hub:{name}, {split}, row {number}",
            {k: labels[k](v) if k in labels and isinstance(v, int) and v >= 0 else v for k, v in row.items()},
        )
        for number, row in enumerate(table, start=1)
    ]


def names_a_file(address: str) -> bool:
    """Whether an address is ``OWNER/NAME/FILE``: a file of a set, not the set."""
    return address.partition("?")[0].count("/") > 1


def hub_file(address: str, known: Sequence[str] = ()) -> Path:
    """A file of a data set on the hub, in the hub client's cache.

    ``address``: ``OWNER/NAME/FILE``, with ``?revision=R`` behind it or not.

    Without FILE the one whose path ends like one of ``known``, the first of them that is there, or the only
    one in a format that is read. Raises ``DataError`` when ``huggingface_hub`` is not installed, the hub
    cannot be reached, or a file must be named.
    """
    parts = _FILE.fullmatch(address)
    if parts is None:
        raise DataError(
            f"hub:{address}: is no file of a data set. Write hub:OWNER/NAME/FILE, or hub:OWNER/NAME; behind "
            "it ?revision=R"
        )
    name = parts["name"]
    file = parts["file"]
    revision = parts["revision"]
    try:
        import huggingface_hub
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise DataError(
            f"hub:{address}: reading from the hub needs huggingface_hub. Install it: pip install "
            "'iteralign[train]'"
        ) from error
    troubles: Any = (
        OSError,
        ValueError,
        *HfHubHTTPError.__bases__,
    )  # the last: those of its HTTP client, which has changed before
    away: list[str] = []
    try:
        with cache_alone_where_away(name) as away:
            if file is None:
                files = huggingface_hub.list_repo_files(name, repo_type="dataset", revision=revision)
                file = _chosen(name, files, known)
            return Path(huggingface_hub.hf_hub_download(name, file, repo_type="dataset", revision=revision))
    except DataError:
        raise
    except troubles as error:
        reason = _told(error, away)
        in_cache = (
            "" if file else " A file that is in the cache is found when it is named: hub:OWNER/NAME/FILE."
        )
        raise DataError(
            f"hub:{address}: could not be had ({reason}). Check the name and the "
            f"connection; {OFFLINE}.{in_cache}"
        ) from error


def _chosen(name: str, files: Sequence[str], known: Sequence[str]) -> str:
    """The one file that is meant. Raises ``DataError`` with those that there are."""
    for wanted in known:
        found = [f for f in files if f"/{f}".endswith(f"/{wanted}")]
        if len(found) == 1:
            return found[0]
    data = [
        f
        for f in files
        if f.lower().endswith(_READ) and not f.endswith((".txt", "package.json", "dataset_infos.json"))
    ]
    if len(data) == 1:
        return data[0]
    held = ", ".join(data[:12]) + (", ..." if len(data) > 12 else "") or "no data file"
    raise DataError(f"hub:{name}: which file is meant? Name it: hub:{name}/FILE. It holds {held}")


def _told(error: Exception, away: Sequence[str]) -> str:
    """Why something could not be had: that the hub is away, where it is, and else what its client says."""
    if away and ("OfflineModeIsEnabled" in repr(error) or "LocalEntryNotFound" in repr(error)):
        return f"the hub cannot be reached, and it is not in the cache: {away[0]}"
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return f"{type(error).__name__}: {reason}"
