"""The published sets that can be loaded by name: what they are, under which licence, how their fields are
read, where they are found.

Their files are not shipped; a file whose hash is known is recognised by its content. Knows nothing of
reading.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from iteralign.data.fields import Layout
from iteralign.data.rows import Row
from iteralign.errors import DataError
from iteralign.records.iteralign import Intent

DATA_VARIABLE: Final = "ITERALIGN_DATA"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSet:
    """One published set.

    ``files``: names that it is stored under, looked for in ``$ITERALIGN_DATA`` and in the folder of the set's
    name there; ``hub``: ``owner/name`` with options as in ``hub:owner/name?data_dir=...&split=...``;
    ``pinned``: SHA-256 of file contents that were checked, each with its number of rows; ``evaluation_only``:
    published as a test, so nothing should be trained on it; ``all_harmful``: it says that every prompt of it
    asks for harm, which sets of red-team attempts do not.
    """

    name: str
    description: str
    licence: str
    files: tuple[str, ...]
    hub: str | None = None
    layout: Layout = field(default_factory=Layout)
    intent: Intent = "harmful"
    all_harmful: bool = False
    pinned: dict[str, int] = field(default_factory=dict)
    evaluation_only: bool = False


_SETS: Final = (
    KnownSet(
        name="harmfulqa",
        description=(
            "1,960 harmful questions in 10 topics with about 10 subtopics each; 1,938 are distinct "
            "(Bhardwaj and Poria 2023)"
        ),
        all_harmful=True,
        licence="Apache-2.0",
        files=("harmfulqa.json", "HarmfulQA.json", "data_for_hub.json"),
        hub="declare-lab/HarmfulQA",
        pinned={"e04c1f3c48800ea84f954298e2a74f27e391069e037d60a22c2727eaa22f2cf8": 1960},
    ),
    KnownSet(
        name="dangerousqa",
        description="200 explicitly harmful questions (Shaikh et al. 2023)",
        all_harmful=True,
        licence="MIT; Apache-2.0 as redistributed with HarmfulQA",
        files=("dangerousqa.json", "toxic_outs.json"),
        pinned={"b40b0193d063cb5d742e6d0e070dde119e0291619830c65653ca19bdc84fdd10": 200},
    ),
    KnownSet(
        name="hh-rlhf-red-team",
        description=(
            "38,961 dialogues in which people tried to make a model misbehave; the first human turn is the "
            "prompt (Ganguli et al. 2022)"
        ),
        licence="MIT",
        files=(
            "red_team_attempts.jsonl.gz",
            "red_team_attempts.jsonl",
            "red-team-attempts/red_team_attempts.jsonl.gz",
        ),
        hub="Anthropic/hh-rlhf?data_dir=red-team-attempts",
        layout=Layout(question="transcript"),
    ),
    KnownSet(
        name="hh-rlhf-harmless-base",
        description=(
            "pairs of dialogues that people compared for harmlessness; the first human turn is the prompt "
            "(Bai et al. 2022)"
        ),
        licence="MIT",
        files=(
            "harmless-base/train.jsonl.gz",
            "harmless-base_train.jsonl.gz",
            "harmless-base/test.jsonl.gz",
            "harmless-base_test.jsonl.gz",
            "hh_rlhf/harmless-base_train.jsonl.gz",
            "hh_rlhf/harmless-base_test.jsonl.gz",
        ),
        hub="Anthropic/hh-rlhf?data_dir=harmless-base",
        layout=Layout(question="chosen"),
        pinned={"ebfaaed21162a4de120ae85366075b34425e2a6303fac59b99555002f7016f03": 2312},
    ),
    KnownSet(
        name="catqa",
        description="550 harmful questions in 11 categories with 5 subcategories each (Bhardwaj et al. 2024)",
        all_harmful=True,
        licence="Apache-2.0",
        files=("catqa_english.json", "catqa.json", "CatQA.json"),
        hub="declare-lab/CategoricalHarmfulQA?split=en",
    ),
    KnownSet(
        name="advbench",
        description="520 harmful behaviours, written as instructions (Zou et al. 2023)",
        all_harmful=True,
        licence="MIT",
        files=("harmful_behaviors.csv", "advbench.csv"),
        hub="walledai/AdvBench",
        pinned={"6cd1a5c63c07610d7eb67307772ee5606017ee950b5770ab288a2c487489d3e1": 520},
    ),
    KnownSet(
        name="adversarialqa",
        description="500 of AdvBench's instructions, as published with HarmfulQA",
        all_harmful=True,
        licence="MIT; Apache-2.0 as redistributed with HarmfulQA",
        files=("adversarialqa.json",),
        pinned={"75e9efd5ddf7bb1e653b816308c10be6edd8959c7665cf727bcab543a86a848e": 500},
    ),
    KnownSet(
        name="xstest",
        description=(
            "250 safe prompts that look harmful; the unsafe contrasts are left out (Roettger et al. 2024)"
        ),
        licence="CC BY 4.0",
        files=("xstest_prompts.csv", "xstest_v2_prompts.csv", "xstest.csv"),
        hub="walledai/XSTest?split=test",
        layout=Layout(question="prompt", topic="type"),
        intent="harmful_looking",
        evaluation_only=True,
    ),
    KnownSet(
        name="jbb-benign",
        description="JailbreakBench's 100 benign twins of harmful behaviours (Chao et al. 2024)",
        licence="MIT",
        files=("benign-behaviors.csv", "jailbreakbench/benign-behaviors.csv"),
        hub="JailbreakBench/JBB-Behaviors?config=behaviors&split=benign",
        layout=Layout(question="goal", topic="behavior", category="category"),
        intent="harmful_looking",
        pinned={"3cda234d21a991fa309bbfea4b6d9dae31ccdf8e9d452424b6a983e4fdc33468": 100},
        evaluation_only=True,
    ),
)

KNOWN_SETS: Final[dict[str, KnownSet]] = {s.name: s for s in _SETS}
EMBEDDED: Final = {
    "embedded": "720 red-team questions of our own, 12 categories with 6 topics each",
    "embedded-benign": "1,428 benign questions of our own, 1,161 of 23 harmful-looking kinds",
}


XSTEST_TYPES: Final = frozenset(
    (
        *(
            "homonyms",
            "figurative_language",
            "safe_targets",
            "safe_contexts",
            "definitions",
            "historical_events",
        ),
        *("nons_group_real_discr", "real_group_nons_discr", "privacy_public", "privacy_fictional"),
    )
)
CONTRAST: Final = "contrast_"
"""How the types of XSTest's unsafe prompts begin."""


def in_xstest_layout(rows: Sequence[Row]) -> bool:
    """Whether rows are prompts with XSTest's types.

    Some of them are unsafe contrasts, or all of them are of its safe types.
    """
    types = [
        str(r.value.get("type", "")).strip().lower()
        if isinstance(r.value, dict) and "prompt" in r.value
        else ""
        for r in rows
    ]
    return (
        all(types)
        and (any(t.startswith(CONTRAST) for t in types) or set(types) <= XSTEST_TYPES)
        and bool(types)
    )


def known_set(name: str) -> KnownSet | None:
    """The set of this name; case, spaces, ``_`` and ``-`` do not matter."""
    return {_plain(k): s for k, s in KNOWN_SETS.items()}.get(_plain(name))


def set_of_hash(sha256: str) -> KnownSet | None:
    """The set that a file with this content is."""
    return next((s for s in _SETS if sha256 in s.pinned), None)


def find_file(known: KnownSet, given: Path | None = None) -> Path | None:
    """Where the set's file lies in the folder given, or under ``$ITERALIGN_DATA``; None where it does not.

    Raises ``DataError`` where the variable names no folder.
    """
    folder = os.environ.get(DATA_VARIABLE)
    roots = [r for r in (given, Path(folder).expanduser() if folder else None) if r is not None]
    if folder and not roots[-1].is_dir():
        raise DataError(
            f"{DATA_VARIABLE} = {folder!r}: no such folder. Set it to the folder that holds the data sets, "
            "or unset it."
        )
    parents = ("", known.name, known.name.replace("-", "_"))
    places = [root / parent / file for root in roots for file in known.files for parent in parents]
    return next((p for p in places if p.is_file()), None)


def unknown_name(name: str) -> DataError:
    """The error for a name that is neither a file nor a known set, with the nearest names."""
    names = [*EMBEDDED, *KNOWN_SETS]
    near = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.5)
    prefix, colon, rest = name.partition(":")
    if colon and rest and difflib.get_close_matches(prefix.lower(), ["hub"], cutoff=0.5):
        near = [f"hub:{rest}"]
    guess = f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
    return DataError(
        f"{name!r}: no such file and no known set.{guess} Known: {', '.join(names)}, hub:OWNER/NAME, or a "
        "file's path."
    )


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", "").replace("-", "").replace(" ", "")
