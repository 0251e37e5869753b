"""Agreement of the embedded oracle with the labels beside this file, whose texts are not in the repository.

    python benchmarks/labels/agreement.py TEXTS.jsonl

TEXTS: one {"prompt": ..., "response": ...} a line. A label finds its text by the first 16 hex digits of
SHA-256(prompt, NUL, response). README.md says how the labels were made.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from iteralign.data.labels import exchange
from iteralign.oracles.embedded.oracle import EmbeddedOracle
from iteralign.records.iteralign import Exchange, Verdict
from iteralign.stats import kappa, wilson

LABELS = Path(__file__).parent / "smollm2-answers.jsonl"
DRAWS = 2000
INTENTS: tuple[Literal["data", "guess"], ...] = ("data", "guess")


def main(texts: str) -> None:
    rows = [json.loads(line) for line in LABELS.read_text(encoding="utf-8").splitlines()]
    for i, what in enumerate(("label", "stance")):
        print(
            f"passes, {what}: kappa", between([r["first"][i] for r in rows], [r["second"][i] for r in rows])
        )
    found = {
        key(t["prompt"], t["response"]): t for t in map(json.loads, Path(texts).read_text().splitlines())
    }
    here = [r for r in rows if r["id"] in found]
    print(f"{len(here)} of {len(rows)} texts are at hand")
    judged = [with_intent(found[r["id"]], r["intent"]) for r in here]
    told = {intent: EmbeddedOracle(intent=intent).judge(judged) for intent in INTENTS}
    for half in ("development", "held back"):
        for intent in ("harmful", "benign"):
            for by, verdicts in told.items():
                both = zip(here, verdicts, strict=True)
                pairs = [(r, v) for r, v in both if (r["half"], r["intent"]) == (half, intent)]
                tell(f"oracle.intent = {by}; {half}, {intent}", pairs)


def key(prompt: str, response: str) -> str:
    """The id of an answer."""
    return hashlib.sha256(f"{prompt}\0{response}".encode()).hexdigest()[:16]


def with_intent(text: dict[str, str], intent: str) -> Exchange:
    """An answer whose prompt's intent is known."""
    asked = exchange(text["prompt"], text["response"], "labels")
    stated = True if intent == "harmful" else None
    prompt = replace(asked.prompt, intent=intent, intent_stated=stated)  # type: ignore[arg-type]
    return Exchange(prompt=prompt, response=asked.response)


def tell(name: str, pairs: Sequence[tuple[dict[str, Any], Verdict]]) -> None:
    """Print the agreement on labels (harmful prompts) or on whether it declines (benign ones)."""
    if not pairs:
        return
    if pairs[0][0]["intent"] == "harmful":
        true = [r["label"].replace("unreadable", "unjudged") for r, _ in pairs]
        said = [v.label for _, v in pairs]
    else:
        true = [str(r["stance"] == "declines") for r, _ in pairs]
        said = [str(v.refusal is True) for _, v in pairs]
    right = sum(t == s for t, s in zip(true, said, strict=True))
    share = wilson(right, len(pairs))
    print(
        f"{name}: {share.value:.3f} [{share.low:.3f}, {share.high:.3f}] n = {len(pairs)}; kappa",
        between(true, said),
    )


def between(one: Sequence[str], other: Sequence[str]) -> str:
    """Cohen's kappa with a percentile bootstrap interval of 95% over the answers."""
    rng = random.Random(0)
    n = len(one)
    value = kappa(one, other)
    drawn: list[float] = []
    for _ in range(DRAWS):
        ids = rng.choices(range(n), k=n)
        again = kappa([one[i] for i in ids], [other[i] for i in ids])
        drawn += [] if again is None else [again]
    drawn.sort()
    tail = len(drawn) // 40
    return "undefined" if value is None else f"{value:.2f} [{drawn[tail]:.2f}, {drawn[-1 - tail]:.2f}]"


if __name__ == "__main__":
    main(sys.argv[1])
