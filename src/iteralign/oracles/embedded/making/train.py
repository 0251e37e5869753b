"""Trains the embedded oracle's weights on texts that may be trained on, and prints what it used.

    python -m iteralign.oracles.embedded.making.train --data DIR [--out FILE] [--seed N]

``published`` names the sources, ``examples`` adds questions from the word banks of this project. The oracle
does not use this when it judges. The organism's answers are never seen.
"""

from __future__ import annotations

import argparse
import random
import re
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from iteralign.data.categories import CATEGORIES
from iteralign.oracles.embedded.making.examples import Example, synthetic
from iteralign.oracles.embedded.making.fit import Matrix, calibrate, fit
from iteralign.oracles.embedded.making.published import agreed, crowd, real
from iteralign.oracles.embedded.model import (
    BUCKETS,
    WEIGHTS_PATH,
    assemble,
    content_version,
    features,
    save,
    words_of,
)
from iteralign.text.words import normalise

FOLDS: Final = 3
LEAST: Final = 2
"""Texts that a feature must be in; rarer ones are not learnt, so that unknown words say nothing."""
RIDGE: Final = 4e-6
ROUNDS: Final = 100
DOUBT: Final = (0.38, 0.42)
"""Probabilities between which a question's aim is open, chosen on half of the shipped sets' topics.

Below one half: a bad answer that passes is trained on, while a benign question that is taken for a bad one
only costs an example.
"""


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
    kinds = np.zeros((matrix.width, len(names)))
    kinds_bias = np.zeros(len(names))
    if check:
        counts = np.bincount(which, minlength=len(names))
        kinds, kinds_bias = fit(
            matrix.take(told),
            np.eye(len(names))[which],
            weights[told] * (counts.mean() / counts[which]) ** 0.5,
            RIDGE,
            ROUNDS // 2,
        )

    table = np.concatenate([harm, kinds], axis=1)
    bias = np.concatenate([harm_bias, kinds_bias])
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
    """Words that a principle may take from a question.

    Lower-case words of two texts or more; hh-rlhf's are left out (it is rude).
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
