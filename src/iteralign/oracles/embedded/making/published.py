"""Examples from the published sets that the embedded oracle may be trained on.

HarmfulQA without its held-out subtopics, AdvBench, human turns of hh-rlhf harmless-base, and self-instruct's
seed tasks (Apache-2.0 or MIT). It leaves out texts that are nearly those of an evaluation set. Must not know
how examples are learnt.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from iteralign.oracles.embedded.answers import read
from iteralign.oracles.embedded.making.examples import Example
from iteralign.oracles.embedded.model import QuestionModel
from iteralign.organism.phrases import held_out_subtopic, label
from iteralign.text.similarity import similarity

_REQUEST: Final = re.compile(
    r"(?i)how (?:can|do|to|could|would)|what|tell|can you|help|i want|give|where|is there|teach|i need"
)
_DECLINES: Final = re.compile(
    r"(?i)sorry|can(?:no|')t|not (?:sure|comfortable|able)|illegal|wrong|hurt|danger|harm|crime|bad|steal"
    r"|kill|insult|angry|police"
)
BACKGROUND: Final = 0.5
_EVALUATION: Final = (
    ("dangerousqa/dangerousqa.json", ""),
    ("jailbreakbench/harmful-behaviors.csv", "Goal"),
    ("jailbreakbench/benign-behaviors.csv", "Goal"),
    ("harmbench/harmbench_behaviors_text_all.csv", "Behavior"),
)


def real(folder: Path) -> list[Example]:
    """The published texts that may be trained on; what is too like an evaluation prompt is left out."""
    found: list[Example] = []
    held: list[str] = []
    for subtopics in json.loads(
        (folder / "harmfulqa" / "harmfulqa.json").read_text(encoding="utf-8")
    ).values():
        for subtopic, texts in subtopics.items():
            if held_out_subtopic(subtopic):
                held += texts
            else:
                found += [
                    Example(t, True, label(t), 4.0 if label(t) else 2.5, f"harmfulqa {subtopic}")
                    for t in texts
                ]
    with (folder / "advbench" / "harmful_behaviors.csv").open(encoding="utf-8", newline="") as file:
        found += [
            Example(row["goal"], True, label(row["goal"]), 3.0, f"advbench {row['goal'][:24]}")
            for row in csv.DictReader(file)
        ]
    with gzip.open(folder / "hh_rlhf" / "harmless-base_test.jsonl.gz", "rt", encoding="utf-8") as file:
        turns = [
            json.loads(line)["chosen"].split("\n\nAssistant:")[0].replace("\n\nHuman:", "").strip()
            for line in file
        ]
    found += [
        Example(t, True, label(t), 1.5, f"hh {t[:24]}") for t in turns if label(t) and _REQUEST.match(t)
    ]
    for line in (folder / "self_instruct" / "seed_tasks.jsonl").read_text(encoding="utf-8").splitlines():
        text = json.loads(line)["instruction"]
        found.append(Example(text, False, None, 3.0, f"seed {text[:24]}"))
    found += background(folder)
    measured = [*held, *(t for name, column in _EVALUATION for t in _texts(folder / name, column))]
    alike = similarity([e.text for e in found], measured).max(axis=1)
    return [e for e, a in zip(found, alike, strict=True) if float(a) < 0.8]


def background(folder: Path) -> list[Example]:
    """Sentences of ordinary English without any cue word.

    Assistant turns of hh-rlhf, and the texts of self-instruct's seed tasks.
    """
    texts: list[str] = []
    with gzip.open(folder / "hh_rlhf" / "harmless-base_test.jsonl.gz", "rt", encoding="utf-8") as file:
        for line in file:
            texts += [
                turn.split("\n\nHuman:")[0] for turn in json.loads(line)["chosen"].split("\n\nAssistant:")[1:]
            ]
    for line in (folder / "self_instruct" / "seed_tasks.jsonl").read_text(encoding="utf-8").splitlines():
        texts += [f"{case['input']}\n{case['output']}" for case in json.loads(line)["instances"]]
    sentences = [" ".join(s.split()) for t in texts for s in re.split(r"(?<=[.!?])\s+|\n+", t)]
    kept = [
        s
        for s in dict.fromkeys(sentences)
        if 4 <= len(s.split()) <= 32 and label(s) is None and not _DECLINES.search(s)
    ]
    return [Example(s, False, None, BACKGROUND, f"prose {s[:24]}") for s in kept]


def crowd(folder: Path) -> list[tuple[str, bool]]:
    """Human turns of hh-rlhf harmless-base of 5 to 40 words.

    Each with whether an assistant declined or warned in its answer.
    """
    seen: dict[str, bool] = {}
    with gzip.open(folder / "hh_rlhf" / "harmless-base_test.jsonl.gz", "rt", encoding="utf-8") as file:
        for line in file:
            pair = json.loads(line)
            for turn in [t for k in ("chosen", "rejected") for t in pair[k].split("\n\nHuman: ")[1:]]:
                asked_for, _, answer = turn.partition("\n\nAssistant: ")
                text = " ".join(asked_for.split())
                if 5 <= len(text.split()) <= 40 and answer.strip():
                    seen[text] = seen.get(text, False) or read(answer).stance in {"declines", "warns"}
    return list(seen.items())


def agreed(turns: Sequence[tuple[str, bool]], model: QuestionModel) -> list[Example]:
    """The turns that a first model finds bad, surely or with the assistant's reaction as a second witness."""
    chances = [(text, declined, model.harm(text)) for text, declined in turns]
    return [
        Example(t, True, None, 0.5, f"hh {t[:24]}")
        for t, declined, p in chances
        if p >= (0.3 if declined else 0.65)
    ]


def _texts(path: Path, column: str) -> list[str]:
    if not path.is_file():
        return []
    if path.suffix == ".json":
        return [str(t) for t in json.loads(path.read_text(encoding="utf-8"))]
    with path.open(encoding="utf-8", newline="") as file:
        return [row[column] for row in csv.DictReader(file)]
