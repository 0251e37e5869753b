"""A real model whose logits are all equal, on the published questions: where it scores chance exactly, and
what length does elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from iteralign.engines.hf.host import HFHost
from iteralign.evals import hhh, truthfulqa
from iteralign.evals.choices import credit, mass
from iteralign.protocols import Policy, Scorer
from iteralign.records.chat import Chat, Message, Score
from iteralign.records.iteralign import Checkpoint
from memory import Memory
from tiny_model import make_model, make_tokenizer

SHARED = next(
    (p / "shared" / "data" for p in Path(__file__).resolve().parents if (p / "shared" / "data").is_dir()),
    None,
)
pytestmark = pytest.mark.skipif(
    SHARED is None, reason="no folder shared/data beside the checkout: the published sets are not shipped"
)
EVERY = pytest.mark.parametrize("count", [40, pytest.param(None, marks=pytest.mark.slow)])


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Policy]:
    """A tiny Llama whose output embedding is zero, through ``HFPolicy``."""
    import torch

    folder, tokenizer = tmp_path_factory.mktemp("constant"), make_tokenizer()
    model = make_model(len(tokenizer), tied=False)
    model.config.max_position_embeddings = 4096
    with torch.no_grad():
        model.lm_head.weight.zero_()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    host = HFHost(device="cpu", dtype="float32", locate=lambda c: str(folder), warn=print)
    with host.serve(Checkpoint(path="constant")) as found:
        yield found


class PerToken:
    """A policy's tokens, each with the score 0: candidates of any length tie."""

    checkpoint = Checkpoint(path="tied")

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def generate(self, chats: Any, params: Any) -> list[Any]:
        raise AssertionError("nothing is generated")

    def logprobs(self, chats: Sequence[Chat], continuations: Sequence[str]) -> list[Score]:
        assert isinstance(self._policy, Scorer)
        return [Score(s.tokens, (0.0,) * len(s.tokens)) for s in self._policy.logprobs(chats, continuations)]


def questions(name: str, count: int | None) -> list[truthfulqa.Item]:
    assert SHARED is not None
    return truthfulqa.load(SHARED / "truthfulqa" / name)[:count]


def test_every_token_has_the_same_logarithm(policy: Policy) -> None:
    assert isinstance(policy, Scorer)
    (found,) = policy.logprobs([(Message("user", "Which river?"),)], ["The longest one."])
    assert found.logprobs == pytest.approx([-math.log(len(make_tokenizer()))] * len(found.tokens), abs=1e-5)
    assert len(set(found.logprobs)) == 1


@EVERY
def test_it_scores_chance_where_the_same_words_are_scored_for_each_candidate(
    policy: Policy, count: int | None
) -> None:
    """``true`` and ``false``, and ``A`` and ``B``, are as long for each candidate, so that all tie."""
    items, memory = questions("mc_task_v1_817.json", count), Memory()
    for mode, level in (("dromedary", 0.2225), ("dromedary-compat", 0.4070)):
        found = truthfulqa.TruthfulQA(items, mode, {}).run(policy, memory)
        assert found.main.value == truthfulqa.chance(items, mode)
        if count is None:  # the published level is that of the whole set
            assert found.main.value == pytest.approx(level, abs=5e-5)
    assert (
        truthfulqa.TruthfulQA(questions("mc_task_2025_790.json", count), "binary", {})
        .run(policy, Memory())
        .main.value
        == 0.5
    )
    assert SHARED is not None
    replies = hhh.HHH(hhh.load(SHARED / "hhh_alignment" / "hhh_alignment.jsonl")[:count], {}).run(
        policy, Memory()
    )
    assert replies.main.value == 0.5
    assert set(replies.per_item.values()) == {0.5}


@EVERY
def test_in_mc1_and_mc2_it_prefers_what_is_short(policy: Policy, count: int | None) -> None:
    """Summed log-probabilities fall with each token: the shortest candidates win, and the best answers of
    TruthfulQA are rarely the shortest.
    """
    items, nats = questions("mc_task_v1_817.json", count), math.log(len(make_tokenizer()))
    assert isinstance(policy, Scorer)
    mc1 = truthfulqa.TruthfulQA(items, "mc1", {}).run(policy, memory := Memory())
    mc2 = truthfulqa.TruthfulQA(items, "mc2", {}).run(policy, memory)
    expected1, expected2 = {}, {}
    for item in items:
        lengths = [
            [len(s.tokens) for s in policy.logprobs([(Message("user", item.question),)] * len(c), list(c))]
            for c in (item.mc1, item.mc2)
        ]
        expected1[item.id] = credit([-n for n in lengths[0]], {0})
        expected2[item.id] = mass([-n * nats for n in lengths[1]], set(range(len(item.right))))
    assert mc1.per_item == expected1, "the credit goes to the shortest, shared among those of one length"
    assert mc2.per_item == pytest.approx(expected2, abs=1e-4)
    for mode, found, level in (("mc1", mc1, 0.1973), ("mc2", mc2, 0.4497)):
        tied = truthfulqa.TruthfulQA(items, mode, {}).run(PerToken(policy), Memory())
        assert tied.main.value == pytest.approx(truthfulqa.chance(items, mode), abs=1e-12), (
            "without length it is chance"
        )
        if count is None:
            assert found.main.value == pytest.approx(level, abs=5e-4)
            assert found.main.value < truthfulqa.chance(items, mode)
