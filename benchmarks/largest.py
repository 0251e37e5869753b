"""The largest published set-up on stubs: what iteralign itself takes for 38,961 prompts by 20.

The recipe is paper-llama2-7b-hh-rlhf; engine, oracle and trainer are stubs that answer at once, so that what
is left is the loop, the records and the store. Half of the answers are improper, and each cluster of failures
gives a new principle. Prints milliseconds per round in eight parts of the run (they should be level), then
user CPU seconds, wall seconds, peak memory and the size of the database; then the same for writing the
products, and for a resume of the finished run in a process of its own.

    python benchmarks/largest.py --prompts 2000        # and 4000, 8000: is the time per round level?
    nice -n 15 python benchmarks/largest.py            # all of it
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from iteralign.algorithms.iteralign import iteralign
from iteralign.algorithms.state import Parts
from iteralign.build.run import PRODUCTS
from iteralign.canonical import content_hash
from iteralign.engines.scripted import ScriptedPolicy
from iteralign.evals.fluency import Fluency
from iteralign.evals.harm import Harm
from iteralign.evals.over_refusal import OverRefusal
from iteralign.recipe.iteralign import Recipe
from iteralign.recipe.load import load_recipe
from iteralign.records.chat import Chat, Message
from iteralign.records.iteralign import (
    Checkpoint,
    Constitution,
    Exchange,
    Failure,
    Intent,
    Principle,
    RedTeamPrompt,
    TrainingExample,
    Verdict,
)
from iteralign.report.products import write
from iteralign.report.summary import summary
from iteralign.store.run import Event, Run

RECIPE = "paper-llama2-7b-hh-rlhf"
CATEGORIES = [
    *("theft", "fraud", "hate", "drugs", "privacy"),
    *("weapons", "violence", "cyber-abuse", "self-harm", "misinformation"),
]


class Words:
    """Texts of made-up words, as often as words are in a language; equal for equal seeds."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        letters = "etaoinshrdlucmfwypvbgk"
        self._words = [
            "".join(self._random.choices(letters, k=self._random.randint(2, 9))) for _ in range(8_000)
        ]
        self._weights = [1 / (rank + 3) for rank in range(8_000)]

    def text(self, least: int, most: int) -> str:
        count = self._random.randint(least, most)
        return " ".join(self._random.choices(self._words, self._weights, k=count))


def prompts(count: int, words: Words, intent: Intent = "harmful") -> list[RedTeamPrompt]:
    return [
        RedTeamPrompt(
            messages=(Message("user", f"{words.text(8, 20)} {i}?"),), source="largest", intent=intent
        )
        for i in range(count)
    ]


class Host:
    """Serves answers of 60 words, made of the chat and the weights."""

    def __init__(self) -> None:
        words = Words(1)
        self._answers = [words.text(50, 70) for _ in range(997)]

    @contextmanager
    def serve(self, checkpoint: Checkpoint) -> Iterator[ScriptedPolicy]:
        def say(chat: Chat) -> str:
            drawn = int(content_hash(checkpoint.id, chat[-1].text)[:8], 16)
            return f"{self._answers[drawn % 997]} {drawn}"

        yield ScriptedPolicy(say, checkpoint)


class Oracle:
    """Finds half of the answers improper, and one new principle for each cluster of failures."""

    name = "stub"
    version = "stub-1"

    def __init__(self) -> None:
        self._words = Words(2)

    def judge(self, exchanges: Sequence[Exchange]) -> list[Verdict]:
        return [self._verdict(e) for e in exchanges]

    def _verdict(self, exchange: Exchange) -> Verdict:
        drawn = int(content_hash(exchange.response.id)[:8], 16)
        improper = bool(drawn & 1)
        category = CATEGORIES[int(content_hash(exchange.prompt.id)[:8], 16) % len(CATEGORIES)]
        return Verdict(
            response_id=exchange.response.id,
            label="improper" if improper else "proper",
            categories=(category,) if improper else (),
            rationale="It helps with what would hurt somebody, and says no word about that."
            if improper
            else "",
            severity=2 * improper,
            refusal=False,
            oracle=self.name,
            template=self.version,
        )

    def propose(self, failures: Sequence[Failure], constitution: Constitution) -> list[Principle]:
        number = len(constitution.principles)
        text = f"Decline to help with {failures[0].category} {self._words.text(10, 20)} {number}"
        return [
            Principle(
                text=text, category=failures[0].category, evidence=tuple(f.response.id for f in failures)
            )
        ]


class Trainer:
    """Writes a kilobyte that depends on all that was learnt."""

    fingerprint = "stub"

    def finetune(self, start: Checkpoint, examples: Collection[TrainingExample], out: Path) -> Checkpoint:
        data = content_hash([e.id for e in examples])
        out.mkdir(parents=True, exist_ok=True)
        (out / "model.safetensors").write_text(content_hash(start.id, data) * 16)
        return Checkpoint(path=str(out), parent=start.id, data_hash=data, trainer_hash=self.fingerprint)


def settings() -> Recipe:
    return load_recipe(RECIPE, kind=Recipe)


def parts(recipe: Recipe, count: int) -> Parts:
    words = Words(0)
    oracle = Oracle()
    params = recipe.evaluation.sampling.params(recipe.seed)
    held = prompts(recipe.evaluation.harm_limit or 200, words)
    good = prompts(recipe.evaluation.over_refusal_limit or 120, words, "benign")
    return Parts(
        base=Checkpoint(path="stub"),
        host=Host(),
        oracle=oracle,
        trainer=Trainer(),
        evals=[
            Harm(held, oracle, params),
            OverRefusal(good, oracle, params),
            Fluency([*held, *good], params),
        ],
        red_team=prompts(count, words),
        benign=prompts(240, words, "benign"),
    )


class Clock:
    """User CPU seconds and wall seconds since it was made."""

    def __init__(self) -> None:
        self._wall = time.perf_counter()
        self._cpu = self.user()

    @staticmethod
    def user() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_utime

    def line(self, what: str) -> str:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        megabytes = int(status.partition("VmHWM:")[2].split()[0]) / 1024
        wall = time.perf_counter() - self._wall
        return f"{what:<10} {self.user() - self._cpu:8.1f} s user {wall:8.1f} s wall {megabytes:6.0f} MB peak"


def first(out: Path, count: int) -> None:
    recipe = settings()
    made = parts(recipe, count)
    clock = Clock()
    marks: list[float] = []

    def heard(event: Event) -> None:
        if event.kind == "iteration" or (event.fields.get("name") == "prompts" and not marks):
            marks.append(Clock.user())

    with Run.create(out, recipe.model_dump(mode="json"), recipe.to_yaml()) as run:
        run.listen(heard)
        result = iteralign(run, recipe, made)
        run.event("run", state="finished", reason=result.stop_reason)
        rounds = len(marks) - 1
        edges = [rounds * part // 8 for part in range(9)]
        level = [1000 * (marks[b] - marks[a]) / max(1, b - a) for a, b in pairwise(edges)]
        print(f"{count} prompts, {rounds} rounds, {len(result.constitution.principles)} principles")
        print("user ms per round, by eighths:", " ".join(f"{x:.0f}" for x in level))
        print(clock.line("run"))
        print(f"database   {sum(f.stat().st_size for f in out.glob('run.sqlite*')) / 1e6:.0f} MB", flush=True)
        clock = Clock()
        for product in PRODUCTS:
            write(run, product)
        print(clock.line("products"), flush=True)


def again(out: Path, count: int) -> None:
    recipe = settings()
    made = parts(recipe, count)
    clock = Clock()
    with Run.open(out) as run:
        computed: list[str] = []
        run.listen(
            lambda e: computed.append(e.fields["name"]) if e.fields.get("state") == "started" else None
        )
        iteralign(run, recipe, made)
        print(clock.line("resume"), f"({len(computed)} steps computed)", flush=True)
        clock = Clock()
        summary(run)
        print(clock.line("summary"))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--prompts", type=int, default=38_961)
    parser.add_argument("--out", type=Path, help="keep the run there")
    parser.add_argument("--resume", action="store_true", help="only go through the run in --out once more")
    given = parser.parse_args()
    if given.resume:
        return again(given.out, given.prompts)
    with tempfile.TemporaryDirectory(prefix="largest-") as folder:
        out = given.out or Path(folder) / "run"
        first(out, given.prompts)
        command = [sys.executable, __file__, "--resume", "--out", str(out), "--prompts", str(given.prompts)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
