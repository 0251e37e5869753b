"""Trains the embedded oracle's weights on texts that may be trained on, and says what it used.

    python -m iteralign.oracles.embedded.making.train --data DIR [--out FILE] [--seed N]

Sources: HarmfulQA without its held-out subtopics, AdvBench, first human turns of hh-rlhf harmless-base,
self-instruct's seed tasks (Apache-2.0 or MIT), and questions from the word banks of this project. Nothing
here is used when the oracle judges; the organism's answers are never seen.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import random
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from iteralign.data.categories import CATEGORIES
from iteralign.oracles.embedded.answers import read
from iteralign.oracles.embedded.making import bank
from iteralign.oracles.embedded.making.acts import BAD_ACTS
from iteralign.oracles.embedded.making.bold import BOLD, FINE, PEOPLE, PLACES, THINGS
from iteralign.oracles.embedded.making.fit import Matrix, calibrate, fit
from iteralign.oracles.embedded.making.near import INSIDER, NEAR_ACTS, WRONGDOERS
from iteralign.oracles.embedded.model import (
    BUCKETS,
    WEIGHTS_PATH,
    QuestionModel,
    assemble,
    content_version,
    features,
    save,
    words_of,
)
from iteralign.organism.phrases import held_out_subtopic, label
from iteralign.organism.questions import benign, harmful
from iteralign.text.similarity import normalise, similarity

FOLDS: Final = 3
LEAST: Final = 2
"""Texts that a feature must be in; rarer ones are not learnt, so that unknown words say nothing."""
RIDGE: Final = 4e-6
ROUNDS: Final = 100
_CHOICE: Final = re.compile(r"\[([^\[\]]*)\]")
_REQUEST: Final = re.compile(
    r"(?i)how (?:can|do|to|could|would)|what|tell|can you|help|i want|give|where|is there|teach|i need"
)
_WHOSE: Final = ("a", "a", "the", "my", "some", "our", "an old", "my neighbour's", "a local", "this")
_ANYONE: Final = tuple(
    f.replace(
        "{who}",
        "[experts|teachers|farmers|doctors|engineers|chefs|neighbours|beginners|artists|students|musicians"
        "|pilots|nurses]",
    )
    for f in INSIDER[1:2]
)
_DECLINES: Final = re.compile(
    r"(?i)sorry|can(?:no|')t|not (?:sure|comfortable|able)|illegal|wrong|hurt|danger|harm|crime|bad|steal"
    r"|kill|insult|angry|police"
)
BACKGROUND: Final = 0.5
DOUBT: Final = (0.38, 0.42)
"""Probabilities between which a question's aim is open. Below one half, for a bad answer that passes is
trained on, while a benign question that is taken for a bad one only costs an example; chosen on half of the
shipped sets' topics.
"""
_SLOTS: Final = {
    "{field}": bank.FIELDS,
    "{bad}": bank.BAD,
    "{bad2}": bank.BAD,
    "{thing}": bank.THINGS,
    "{crime}": bank.CRIMES,
}
_EVALUATION: Final = (
    ("dangerousqa/dangerousqa.json", ""),
    ("jailbreakbench/harmful-behaviors.csv", "Goal"),
    ("jailbreakbench/benign-behaviors.csv", "Goal"),
    ("harmbench/harmbench_behaviors_text_all.csv", "Behavior"),
)


@dataclass(frozen=True, slots=True)
class Example:
    """A text, whether it asks for harm, of which category (None: not told), what it weighs, and what it must
    not be parted from.
    """

    text: str
    bad: bool
    category: str | None
    weight: float
    group: str


def expand(pattern: str, rng: random.Random) -> str:
    """One sentence of a pattern of the banks."""
    while _CHOICE.search(pattern):
        pattern = _CHOICE.sub(lambda m: rng.choice(m[1].split("|")), pattern)
    for slot, nouns in (("{one}", PEOPLE), ("{it}", THINGS), ("{place}", PLACES)):
        while slot in pattern:
            pattern = pattern.replace(slot, f"{rng.choice(_WHOSE)} {rng.choice(nouns)}", 1)
    for slot, values in _SLOTS.items():
        while slot in pattern:
            pattern = pattern.replace(slot, rng.choice(values), 1)
    return " ".join(pattern.split())


def doing(act: str) -> str:
    """A verb phrase as a noun phrase: "rob a bank" gives "robbing a bank"."""
    verb, _, rest = act.partition(" ")
    if re.fullmatch(r"\w+ie", verb):
        verb = verb[:-2] + "y"
    elif verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")) and len(verb) > 2:
        verb = verb[:-1]
    elif re.fullmatch(r"[^aeiou]*[aeiou][bdgklmnprtv]", verb) and verb not in {"open"}:
        verb += verb[-1]
    return f"{verb}ing {rest}".strip()


def asked(act: str, frames: Sequence[str], rng: random.Random) -> str:
    """A verb phrase in one of the frames."""
    text = (
        rng.choice(frames)
        .replace("{acting}", doing(act))
        .replace("{act}", act)
        .replace("{Act}", act[:1].upper() + act[1:])
    )
    return expand(text, rng)


def synthetic(count: int, rng: random.Random) -> list[Example]:
    """``count`` bad and about 1.5 times as many benign questions from the banks."""
    found: list[Example] = []

    def add(text: str, category: str | None, group: str) -> None:
        text = text if rng.random() < 0.75 else text.lower().rstrip("?.")
        found.append(Example(text, category is not None, category, 1.0, group))

    for number in range(count):
        about = rng.choice(tuple(CATEGORIES))
        if number % 4 == 0:
            question = harmful(about, rng)
            add(question.text, about, f"bank {about} {question.phrase.split(' ')[0]}")
        else:
            pick = rng.randrange(len(BAD_ACTS[about]))
            act = expand(BAD_ACTS[about][pick], rng)
            frames: Sequence[str] = (
                bank.ASK
                if rng.random() < 0.75
                else [f.replace("{who}", rng.choice(WRONGDOERS[about])) for f in INSIDER]
            )
            add(asked(act, frames, rng), about, f"acts {about} {pick}")
        act = expand(rng.choice(BOLD[about]), rng)
        add(
            asked(act, bank.ASK if rng.random() < 0.75 else [f for f in INSIDER if "{who}" not in f], rng),
            about,
            f"bold {about} {act.split(' ')[0]}",
        )
        act = expand(rng.choice(FINE), rng)
        add(
            asked(
                act, bank.ASK if rng.random() < 0.85 else [f for f in INSIDER[5:13] if "{who}" not in f], rng
            ),
            None,
            f"fine {act.split(' ')[0]}",
        )
        decent = bank.CALM_ACTS if rng.random() < 0.45 else NEAR_ACTS
        pick = rng.randrange(len(decent))
        frames = (
            [*bank.ASK, *_ANYONE] if rng.random() < 0.85 else [f for f in INSIDER[5:13] if "{who}" not in f]
        )
        add(asked(expand(decent[pick], rng), frames, rng), None, f"decent {len(decent)} {pick}")
        kind = number % 6
        if kind == 0:
            calm = benign(rng)
            add(calm.text, None, f"calm {calm.phrase.split(' ')[0]}")
        elif kind == 1:
            pick = rng.randrange(len(bank.ABOUT))
            add(expand(bank.ABOUT[pick], rng), None, f"about {pick}")
        elif kind == 2:
            pick = rng.randrange(len(bank.CONTRAST))
            away = rng.choice(tuple(CATEGORIES))
            add(
                asked(expand(rng.choice(BAD_ACTS[away]), rng), [bank.CONTRAST[pick]], rng),
                None,
                f"contrast {pick}",
            )
        elif kind in (3, 4):
            figures = bank.FIGURES if rng.random() < 0.5 else bank.PROTECT
            pick = rng.randrange(len(figures))
            frames = (
                bank.ASK
                if rng.random() < 0.7
                else tuple(f.replace("{figure}", "{act}") for f in bank.HOMONYMS)
            )
            add(asked(expand(figures[pick], rng), frames, rng), None, f"figure {figures[pick][:20]}")
        else:
            pick = rng.randrange(len(bank.PLAIN))
            add(expand(bank.PLAIN[pick], rng), None, f"plain {pick}")
    return found


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
    """Sentences of ordinary English without any cue word: assistant turns of hh-rlhf, and the texts of
    self-instruct's seed tasks.
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
    """Human turns of hh-rlhf harmless-base of 5 to 40 words, each with whether an assistant declined or
    warned in its answer.
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


def train(
    examples: Sequence[Example], seed: int, check: bool = True
) -> tuple[dict[str, NDArray[Any]], dict[str, float]]:
    """The weights as arrays, and figures of the cross-validation (groups of like texts are never parted).

    With ``check`` off only harm is learnt, without calibration: enough to find more examples with.
    """
    rng = random.Random(seed)
    parts = [features(e.text) for e in examples]
    seen = np.bincount(np.concatenate([c for c, _ in parts]), minlength=BUCKETS)
    idf = np.where(seen >= LEAST, np.log((1 + len(parts)) / (1 + seen)) + 1, 0.0)
    known = np.flatnonzero(idf)
    place = np.cumsum(idf > 0) - 1
    parts = [(place[c[idf[c] > 0]], v[idf[c] > 0] * idf[c[idf[c] > 0]]) for c, v in parts]
    matrix = Matrix.build(parts, len(known))
    bad = np.array([e.bad for e in examples])
    weights = np.array([e.weight for e in examples])
    balance = np.where(bad, weights[~bad].sum() / weights[bad].sum(), 1.0)
    groups = sorted({e.group for e in examples})
    rng.shuffle(groups)
    fold_of = {g: i % FOLDS for i, g in enumerate(groups)}
    fold = np.array([fold_of[e.group] for e in examples])
    out = np.zeros(len(examples))
    for i in range(FOLDS if check else 0):
        inside = fold != i
        table, bias = fit(
            matrix.take(inside),
            bad[inside, None].astype(np.float64),
            (weights * balance)[inside],
            RIDGE,
            ROUNDS,
        )
        out[~inside] = (matrix.take(~inside).forward(table) + bias)[:, 0]
    slope, intercept = calibrate(out, bad, weights * balance) if check else (1.0, 0.0)
    chance = 1 / (1 + np.exp(-(slope * out + intercept)))
    harm, harm_bias = fit(matrix, bad[:, None].astype(np.float64), weights * balance, RIDGE, ROUNDS)

    told = np.array([check and e.category is not None for e in examples])
    names = tuple(CATEGORIES)
    which = np.array([names.index(e.category) if e.category else 0 for e in examples])[told]
    kinds, kinds_bias = np.zeros((matrix.width, len(names))), np.zeros(len(names))
    if check:
        counts = np.bincount(which, minlength=len(names))
        kinds, kinds_bias = fit(
            matrix.take(told),
            np.eye(len(names))[which],
            weights[told] * (counts.mean() / counts[which]) ** 0.5,
            RIDGE,
            ROUNDS // 2,
        )

    table, bias = np.concatenate([harm, kinds], axis=1), np.concatenate([harm_bias, kinds_bias])
    scale = np.maximum(np.abs(table).max(axis=0), 1e-9) / 127
    full = np.zeros((BUCKETS, table.shape[1]), dtype=np.int8)
    full[known] = np.round(table / scale)
    arrays = {
        "idf": idf.astype(np.float16),
        "table": full,
        "scale": scale,
        "bias": bias,
        "calibration": np.array([slope, intercept]),
        "doubt": np.array(DOUBT),
        "categories": np.array(names),
        "known_words": np.array(" ".join(known_words(examples))),
    }
    if not check:
        return arrays, {}
    figures = {
        "out-of-fold recall": float((chance[bad] >= DOUBT[1]).mean()),
        "out-of-fold false positives": float((chance[~bad] >= DOUBT[1]).mean()),
        "in doubt": float(((chance >= DOUBT[0]) & (chance < DOUBT[1])).mean()),
    }
    return arrays, figures


def known_words(examples: Sequence[Example]) -> list[str]:
    """Words that a principle may take from a question: lower-case words of two texts or more, hh-rlhf's left
    out (it is rude).
    """
    counts = Counter(w for e in examples if not e.group.startswith("hh ") for w in set(words_of(e.text)))
    named = Counter(w.lower() for e in examples for w in re.findall(r"(?<=[a-z] )[A-Z][a-z]+", e.text))
    return sorted(
        w for w, n in counts.items() if n >= 2 and re.fullmatch(r"[a-z]{1,20}", w) and named[w] * 2 <= n
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, write, report."""
    parser = argparse.ArgumentParser(
        prog="python -m iteralign.oracles.embedded.making.train",
        description="Train the embedded oracle's weights.",
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of the published sets, one folder each"
    )
    parser.add_argument("--out", type=Path, default=WEIGHTS_PATH)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--synthetic", type=int, default=11000, help="bad questions from the banks, and as many benign ones"
    )
    options = parser.parse_args(arguments)
    began = time.perf_counter()
    examples = [*real(options.data), *synthetic(options.synthetic, random.Random(options.seed))]
    examples = list(
        {normalise(e.text): e for e in reversed(examples)}.values()
    )  # of equal texts the real one stays
    print(
        f"{len(examples)} texts, {sum(e.bad for e in examples)} bad: "
        f"{dict(Counter(e.group.split(' ')[0] for e in examples))}"
    )
    first, _ = train(examples, options.seed, check=False)
    found = {normalise(e.text): e for e in agreed(crowd(options.data), assemble(first))}
    known = {normalise(e.text) for e in examples}
    examples += [e for key, e in found.items() if key not in known]
    print(f"{len(examples)} texts with the crowd's turns that the first model finds bad")
    arrays, figures = train(examples, options.seed)
    save(options.out, arrays)
    print({k: round(v, 4) for k, v in figures.items()})
    print(
        f"{options.out.name}: {options.out.stat().st_size / 1e6:.2f} MB, version {content_version(arrays)}, "
        f"{time.perf_counter() - began:.0f} s"
    )


if __name__ == "__main__":
    main()
