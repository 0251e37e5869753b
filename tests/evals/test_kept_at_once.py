"""What an evaluation has done is kept part by part: a slow model loses no more than one part to a kill, and a
resumed evaluation asks for the very parts that are missing.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from iteralign.engines.facts import Facts, no_run
from iteralign.engines.hf.host import HFHost
from iteralign.engines.hf.pace import CPU_WORK, pace_of, rounded
from iteralign.evals import hhh
from iteralign.exchanges import answers, paced
from iteralign.records.chat import Chat, Completion, Message, SamplingParams, Score
from iteralign.records.iteralign import Checkpoint, EvalReport, RedTeamPrompt
from iteralign.store.run import Run

TOKENS = 400.0


class Slow:
    """A model that gets through ``TOKENS`` in some 20 seconds, and dies at its ``dies``-th call."""

    checkpoint = Checkpoint(path="slow")
    fingerprint = "slow"

    def __init__(self, dies: int = sys.maxsize) -> None:
        self.calls: list[int] = []
        self.dies = dies

    def pace(self) -> tuple[float, int]:
        return TOKENS, sys.maxsize

    def _called(self, chats: Sequence[Chat]) -> None:
        if len(self.calls) == self.dies:
            raise KeyboardInterrupt
        self.calls.append(len(chats))

    def logprobs(self, chats: Sequence[Chat], continuations: Sequence[str]) -> list[Score]:
        self._called(chats)
        # as of an engine whose sums depend on what is in the batch
        return [
            Score((c,), (-float(len(chat[-1].text) % 7) - len(chats) / 1e6,))
            for chat, c in zip(chats, continuations, strict=True)
        ]

    def generate(self, chats: Sequence[Chat], params: SamplingParams) -> list[Completion]:
        self._called(chats)
        return [Completion(text=f"{len(chats)} {c[-1].text}", finish="stop") for c in chats]


ITEMS = [
    hhh.Item(
        subset="honest", number=n, message=f"{n} " + "why " * (30 * (n % 9)), better="a" * n, worse="b" * 7
    )
    for n in range(1, 41)
]
PROMPTS = [RedTeamPrompt(messages=(Message("user", f"question {n}"),), source="t") for n in range(40)]


def measured(policy: Slow, directory: Path) -> EvalReport:
    with Run.create(directory, {}, "") as run:
        return hhh.HHHLikelihood(ITEMS, {}).run(policy, run.scope("evaluation"))


def answered(policy: Slow, directory: Path) -> Any:
    with Run.create(directory, {}, "") as run:
        return answers(policy, run.scope("evaluation"), PROMPTS, SamplingParams(max_new_tokens=50))


@pytest.mark.parametrize("work", [measured, answered])
def test_a_killed_evaluation_lost_one_part_and_comes_out_equal(work: Any, tmp_path: Path) -> None:
    whole = Slow()
    expected = work(whole, tmp_path / "whole")
    assert len(whole.calls) > 5
    killed = Slow(dies=3)
    with pytest.raises(KeyboardInterrupt):
        work(killed, tmp_path / "killed")
    resumed = Slow()
    assert work(resumed, tmp_path / "killed") == expected
    assert killed.calls + resumed.calls == whole.calls


def test_questions_of_about_one_length_go_together_and_each_part_is_short() -> None:
    cut = paced(Slow(), str, alike=True)  # type: ignore[arg-type]
    texts = ["x" * n for n in (40, 4000, 800, 44, 780, 4, 48)]
    assert [[len(t) for t in part] for part in cut(texts)] == [[4000], [800, 780], [48, 44, 40, 4]]
    written = paced(Slow(), str, new=300, most=5)  # type: ignore[arg-type]
    assert [len(part) for part in written(texts)] == [4, 3]  # four cost a large model as long as one
    assert [len(part) for part in paced(object(), str, most=5)(texts)] == [5, 2]  # type: ignore[arg-type]


def test_a_model_on_a_cpu_knows_its_pace_by_its_size(tiny: Path) -> None:
    host = HFHost(device="cpu", locate=lambda c: c.path, warn=lambda text: None)
    with host.serve(Checkpoint(path=str(tiny))) as policy:
        model, _ = policy.weights()
        assert policy.pace() == (CPU_WORK / (2 * model.num_parameters()), 4 * 64)  # too small to measure


def test_a_large_model_on_a_cpu_is_measured_once_for_a_run_and_cut_alike_at_a_resume() -> None:
    noted: dict[str, str] = {}
    passes: list[int] = []

    def began(name: str, value: str) -> str:
        return noted.setdefault(name, value) if value or name in noted else ""

    class Model:
        device = "cpu"

        def __call__(self, input_ids: Any) -> None:
            passes.append(input_ids.shape[1])

    def session() -> tuple[float, int]:
        facts = Facts(None, "auto", began, lambda text: None)
        return pace_of(Model(), 7 * 10**9, "cpu", 16, facts)

    first = session()
    assert passes == [4, 16, 64]
    assert first[0] > CPU_WORK / (14 * 10**9)  # a model that does nothing is fast
    assert session() == first
    assert len(passes) == 3
    assert pace_of(Model(), 10**6, "cpu", 16, Facts(None, "auto", no_run, print)) == (CPU_WORK / 2e6, 64)
    assert pace_of(Model(), 7 * 10**9, "cuda", 16, Facts(None, "auto", began, print)) == (math.inf, 64)
    assert {rounded(r) for r in (1.5, 2.0, 2.5)} == {2.0}


def test_parts_are_whole_batches_where_the_engine_says_so() -> None:
    class Batched:
        def pace(self) -> tuple[float, int]:
            return math.inf, 256

    cut = paced(Batched(), str, new=256)  # type: ignore[arg-type]
    assert [len(part) for part in cut(range(600))] == [256, 256, 88]
