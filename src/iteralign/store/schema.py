"""The tables of a run's database, and how the settings of two runs are told apart and changed.

docs/store.md explains every table and column. Knows neither files nor connections.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from iteralign.canonical import canonical

SCHEMA_VERSION = 4
SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE steps (
    scope TEXT NOT NULL, name TEXT NOT NULL, key TEXT NOT NULL, item TEXT NOT NULL,
    place INTEGER NOT NULL, current INTEGER NOT NULL, kind TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (scope, name, key, item)
);
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, kind TEXT NOT NULL, fields TEXT NOT NULL
);
CREATE TABLE files (
    checkpoint TEXT NOT NULL, file TEXT NOT NULL, bytes INTEGER NOT NULL, sha256 TEXT NOT NULL,
    PRIMARY KEY (checkpoint, file)
);
CREATE TABLE discarded (checkpoint TEXT PRIMARY KEY);
"""
_CALLS = """
CREATE TABLE calls (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, scope TEXT NOT NULL, step TEXT NOT NULL,
    key TEXT NOT NULL, endpoint TEXT NOT NULL, model TEXT NOT NULL, outcome TEXT NOT NULL,
    input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, {reply}
);
CREATE INDEX calls_by_key ON calls (key);
"""
CALLS = _CALLS.format(reply="reply TEXT")
_CALLS_2 = _CALLS.format(reply="text TEXT, finish TEXT")
_TO_3 = f"""
DROP INDEX calls_by_key;
ALTER TABLE calls RENAME TO calls_2;
{CALLS}
INSERT INTO calls
SELECT seq, time, scope, step, key, endpoint, model, outcome, input_tokens, output_tokens,
    '{{"kind": "Completion", "text": ' || text || ', "finish": "' || finish || '", "prompt_tokens": '
    || input_tokens || ', "completion_tokens": ' || output_tokens || '}}'
FROM calls_2;
DROP TABLE calls_2;
"""
SCHEMA += CALLS
UPGRADES = {1: _CALLS_2, 2: _TO_3, 3: ""}
"""How a database of this version becomes one of the next.

1 had no ledger. 2 kept a reply as its text, which is JSON already, and the reason why it ended; where there
is none, SQL's NULL makes all of it NULL. 3 had the same tables, but its records held constitutions and
reports whole: they are read as they are, and what comes after them refers to them.
"""

MAY_CHANGE = ("stop", "budget")
_SERVER = frozenset(
    {
        "base_url",
        "api_key_env",
        "concurrency",
        "max_retries",
        "timeout",
        "requests_per_minute",
        "tokens_per_minute",
    }
)
_ENGINE = frozenset(
    {
        "engine_args",
        "tensor-parallel-size",
        "pipeline-parallel-size",
        "data-parallel-size",
        "gpu-memory-utilization",
        "kv-cache-memory-bytes",
        "cpu-offload-gb",
        "max-num-batched-tokens",
        "block-size",
        "enforce-eager",
        "disable-custom-all-reduce",
    }
)
REACH = {
    "oracle": _SERVER | _ENGINE | {"max_tokens", "proposer_url"},
    "model": _SERVER
    | _ENGINE
    | {"batch_size", "served_as", "device", "max_context", "engine_python"}
    | {"cluster", "replicas", "gpus", "cpus"},
    "evaluation": frozenset({"lm_eval_code"}),
}
"""How a server is reached, where and how much at once, what fits and what may run: nothing that alters a kept
result."""
MAX_LENGTH = "training.max_length"
"""Of every training: which examples are left out of it, from the next one on."""
ABSENT = "(absent)"


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as dotted keys; an empty section is a value of its own."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, str]:
    """The dotted keys whose values differ, each with a text that shows both: ``old -> new``."""
    a, b = flat(old), flat(new)
    return {
        k: f"{_shown(a, k)} -> {_shown(b, k)}"
        for k in sorted(a.keys() | b.keys())
        if _shown(a, k) != _shown(b, k)
    }


def nested(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes with dotted keys (``{"stop.iterations": 5}``) as sections; sections stay as they are."""
    out: dict[str, Any] = {}
    for key, value in changes.items():
        part: Any = nested(value) if isinstance(value, Mapping) else value
        for name in reversed(key.split(".")):
            part = {name: part}
        out = merged(out, part)
    return out


def merged(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with the changes laid over them, section by section."""
    out = dict(settings)
    for key, value in changes.items():
        out[key] = (
            merged(out[key], value)
            if isinstance(value, Mapping) and isinstance(out.get(key), Mapping)
            else value
        )
    return out


def may_change(key: str, settings: Mapping[str, Any]) -> bool:
    """Whether a resumed run may have another value at this dotted key; its section must stay a section."""
    section, _, rest = key.partition(".")
    if key == MAX_LENGTH or key.endswith(f".{MAX_LENGTH}"):
        return True
    if section in REACH and (rest.rpartition(".")[2] in REACH[section]):
        return True
    return section in MAY_CHANGE and (bool(rest) or isinstance(settings.get(section), Mapping))


def unknown(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> list[str]:
    """The dotted keys of the changes that the settings do not have. An empty or unset section may be filled
    with anything.
    """
    known = flat(settings)
    return [
        k
        for k in flat(changes)
        if k not in known and not any(known.get(p, 1) in (None, {}) for p in _parents(k))
    ]


def _parents(key: str) -> Iterator[str]:
    while "." in key:
        key = key.rpartition(".")[0]
        yield key


def _shown(settings: Mapping[str, Any], key: str) -> str:
    return canonical(settings[key]) if key in settings else ABSENT


def listed(found: Mapping[str, str]) -> str:
    """Differences as lines of a message."""
    return "".join(f"\n  {key}: {text}" for key, text in found.items())
