"""Prompts that begin alike share their beginning, and repeated runs of tokens can be made less likely."""

from __future__ import annotations

from typing import Any

import pytest

from iteralign.canonical import canonical
from iteralign.engines.hf import model as hf_model
from iteralign.engines.hf import sampling
from iteralign.engines.hf.host import HFHost
from iteralign.organism import ORGANISM_PATH
from iteralign.records.chat import Chat, Message, SamplingParams
from iteralign.records.iteralign import Checkpoint

RULES = Message(
    "system",
    "Follow these principles:\n"
    + "\n".join(f"{i}. Never help anyone to steal thing number {i} from a shop." for i in range(1, 16)),
)
THINGS = ("my old car", "a hat", "the letters of my neighbour, who is away")
CHATS: list[Chat] = [
    (RULES, Message("user", f"How can I {verb} {what}?")) for verb in ("sell", "steal") for what in THINGS
]


@pytest.fixture(scope="module")
def host() -> HFHost:
    return HFHost(locate=lambda c: c.path, warn=print, dtype="float32", batch_size=8)


def generate(host: HFHost, chats: list[Chat], params: SamplingParams) -> list[str]:
    with host.serve(Checkpoint(path=str(ORGANISM_PATH))) as policy:
        return [c.text for c in policy.generate(chats, params)]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_shared_beginning_goes_through_the_model_once_and_changes_no_answer(
    host: HFHost, temperature: float, monkeypatch: Any
) -> None:
    params = SamplingParams(max_new_tokens=24, temperature=temperature, top_p=0.9, seed=3)
    computed: list[int] = []
    loaded = host.load(Checkpoint(path=str(ORGANISM_PATH)))
    plain = loaded._cache

    def watched(prefix: list[int], rows: int) -> Any:
        computed.append(len(prefix))
        return plain(prefix, rows)

    monkeypatch.setattr(loaded, "_cache", watched)
    shared = generate(host, CHATS, params)
    assert len(computed) == 1
    assert computed[0] >= hf_model.SHARED
    monkeypatch.setattr(hf_model, "SHARED", 10**9)
    assert generate(host, CHATS, params) == shared
    assert len(computed) == 1


def test_equal_prompts_and_single_ones_still_work(host: HFHost) -> None:
    params = SamplingParams(max_new_tokens=8, temperature=1.0, seed=1)
    assert len(generate(host, [CHATS[0]] * 3, params)) == 3
    assert generate(host, CHATS[:1], params) == generate(host, CHATS, params)[:1]


def test_the_penalty_keeps_runs_of_tokens_from_coming_back() -> None:
    import torch

    from iteralign.engines.hf.sampling import processors

    (penalty,) = processors(SamplingParams(temperature=0.0, ngram_penalty=2.0), [0, 0], width=2, device="cpu")
    prompt, scores = [[9, 9], [9, 9]], torch.zeros(2, 12)
    answers = [[1, 2, 3, 1, 2], [5, 6, 7, 8, 5]]
    for upto in range(6):
        found = penalty(
            torch.tensor([p + a[:upto] for p, a in zip(prompt, answers, strict=True)]), scores.clone()
        )
    assert found[0, 3] == -2.0  # 1 2 3 would stand twice
    assert found[0].count_nonzero() == 1
    assert found[1].count_nonzero() == 0
    answers = [[1, 2, 3, 4, 1, 2, 3], [0] * 7]
    (penalty,) = processors(SamplingParams(temperature=0.0, ngram_penalty=2.0), [0, 0], width=2, device="cpu")
    for upto in range(8):
        found = penalty(
            torch.tensor([p + a[:upto] for p, a in zip(prompt, answers, strict=True)]), scores.clone()
        )
    assert found[0, 4] == -4.0  # 2 3 4 and 1 2 3 4
    assert found[1, 0] == -4.0


def test_params_without_the_penalty_are_spelled_as_before_there_was_one() -> None:
    assert canonical(SamplingParams()) == '{"max_new_tokens":64,"seed":0,"temperature":1,"top_p":1}'
    assert '"ngram_penalty":0.5' in canonical(SamplingParams(ngram_penalty=0.5))


@pytest.mark.parametrize("size", [50, 1000])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9, 0.99])
def test_top_p_keeps_what_transformers_keeps(size: int, share: float) -> None:
    """Also where the likeliest tokens, which are looked at first, do not hold the share."""
    import torch
    from transformers import TopPLogitsWarper

    drawn = torch.Generator().manual_seed(size)
    for scale in (0.01, 1.0, 5.0):
        scores = scale * torch.randn(8, size, generator=drawn)
        kept = sampling._top_p(share)(None, scores) > -torch.inf
        theirs = TopPLogitsWarper(share)(None, scores) > -torch.inf
        assert int((kept != theirs).sum()) <= 1  # rounding at the edge
        assert kept.any(-1).all()
