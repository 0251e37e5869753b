"""Recorded steps write what transformers' own loop writes; here they run plainly, for want of a GPU."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from iteralign.engines.hf.arena import columns_for, rows_for
from iteralign.engines.hf.decoding import Decoder
from iteralign.engines.hf.host import HFHost
from iteralign.engines.hf.room import Room
from iteralign.organism import ORGANISM_PATH
from iteralign.records.chat import Chat, Message, SamplingParams
from iteralign.records.iteralign import Checkpoint

torch = pytest.importorskip("torch")

RULES = Message("system", "Follow these rules:\n" + "Help nobody to steal.\n" * 30)
QUESTIONS = [f"How can I {verb} {what}?" for verb in ("sell", "steal", "bake") for what in ("it", "my car")]
PLAIN: list[Chat] = [(Message("user", q),) for q in QUESTIONS] * 2
RULED: list[Chat] = [(RULES, Message("user", q)) for q in QUESTIONS]


def organism() -> tuple[HFHost, Checkpoint, list[str]]:
    said: list[str] = []
    host = HFHost(locate=lambda c: c.path, warn=said.append, dtype="float32", device="cpu", batch_size=12)
    return host, Checkpoint(path=str(ORGANISM_PATH)), said


def with_steps(host: HFHost, checkpoint: Checkpoint) -> Any:
    loaded = host.load(checkpoint)
    loaded._decoder = Decoder(loaded.model, loaded.tokenizer.pad_token_id, record=False)
    loaded._decodes = False
    return loaded


@pytest.mark.parametrize(
    ("chats", "params"),
    [
        (PLAIN, SamplingParams(max_new_tokens=40, temperature=0.0)),
        (PLAIN, SamplingParams(max_new_tokens=40, temperature=1.0, top_p=0.9, seed=3)),
        (RULED, SamplingParams(max_new_tokens=20, temperature=1.0, seed=1, ngram_penalty=1.0)),
    ],
    ids=["greedy", "top-p", "shared beginning, penalty"],
)
def test_steps_in_fixed_memory_write_what_transformers_writes(
    chats: list[Chat], params: SamplingParams, monkeypatch: Any
) -> None:
    host, checkpoint, said = organism()
    with host.serve(checkpoint) as policy:
        theirs = policy.generate(chats, params)
        loaded = with_steps(host, checkpoint)
        monkeypatch.setattr(loaded, "_generated", None)
        computed: list[int] = []
        room = Decoder._room

        def watched(self: Any, *args: Any) -> Any:
            arena = room(self, *args)
            plain = type(arena).step
            arena.step = lambda rows: (computed.append(rows), plain(arena, rows))[1]
            return arena

        monkeypatch.setattr(Decoder, "_room", watched)
        assert policy.generate(chats, params) == theirs
    assert said == []
    assert max(computed) == rows_for(len(chats))
    if chats is PLAIN:  # answers end at different lengths, and those that ended are dropped
        assert computed[-1] < max(computed)


def test_a_model_for_which_steps_give_something_else_goes_without_them_and_says_so(monkeypatch: Any) -> None:
    from iteralign.engines.hf.arena import Arena

    host, checkpoint, said = organism()
    params = SamplingParams(max_new_tokens=8, temperature=0.0)
    with host.serve(checkpoint) as policy:
        theirs = policy.generate(PLAIN[:4], params)
        with_steps(host, checkpoint)
        right = Arena.step
        monkeypatch.setattr(Arena, "step", lambda self, rows: right(self, rows).flip(-1))
        assert policy.generate(PLAIN[:4], params) == theirs
    assert len(said) == 1
    assert "without recorded steps" in said[0]
    assert "nats" in said[0]


def test_a_step_that_fails_costs_no_answer(monkeypatch: Any) -> None:
    from iteralign.engines.hf.arena import Arena

    host, checkpoint, said = organism()
    params = SamplingParams(max_new_tokens=8, temperature=1.0, seed=2)
    with host.serve(checkpoint) as policy:
        theirs = policy.generate(PLAIN, params)
        loaded = with_steps(host, checkpoint)
        assert loaded.decoder is not None

        def fails(self: Any, rows: int) -> Any:
            raise RuntimeError("no execution plan")

        monkeypatch.setattr(Arena, "step", fails)
        assert policy.generate(PLAIN, params) == theirs
        assert loaded.decoder is None
    assert ["no execution plan" in text for text in said] == [True]


def test_shapes_are_few() -> None:
    assert {rows_for(n) for n in range(1, 257)} == {1, 2, 4, 8, 16, 24, 32, 48, *range(64, 257, 32)}
    assert all(n <= columns_for(n) <= max(128, 1.25 * n + 128) for n in range(1, 9000))
    assert len({columns_for(n) for n in range(1, 4097)}) < 20


@pytest.mark.parametrize("steps", [False, True], ids=["transformers", "recorded"])
def test_a_text_that_ends_an_answer_ends_its_row(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, steps: bool
) -> None:
    host = HFHost(locate=lambda c: c.path, warn=print, device="cpu")
    checkpoint = Checkpoint(path=str(tiny))
    params = SamplingParams(max_new_tokens=60, temperature=0.8, seed=3)
    with host.serve(checkpoint) as policy:
        whole = policy.generate(PLAIN[:2], params)
        if steps:
            with_steps(host, checkpoint)
        text = whole[0].text
        stop = text[10:14]
        for place in ("iteralign.chat.rows.stops", "iteralign.engines.hf.model.stops"):
            monkeypatch.setattr(place, lambda tokenizer: (stop,))
        model = host.load(checkpoint).model
        passes: list[int] = []
        original = model.forward
        model.forward = lambda *a, **k: (passes.append(1), original(*a, **k))[1]
        [alone] = policy.generate(PLAIN[:1], params)
        assert (alone.text, alone.finish) == (text.partition(stop)[0].strip(), "stop")
        assert len(passes) < 40
        assert alone.completion_tokens < 40
        assert policy.generate(PLAIN[:2], params)[0] == alone
        assert whole[1].text.startswith(policy.generate(PLAIN[:2], params)[1].text)


def mixed(word: int) -> int:
    """SplitMix64's output function, as published."""
    word &= (1 << 64) - 1
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 & (1 << 64) - 1
    word = (word ^ word >> 27) * 0x94D049BB133111EB & (1 << 64) - 1
    return word ^ word >> 31


def test_counted_streams_belong_to_the_row_and_to_the_token() -> None:
    from iteralign.engines.hf.sampling import processors

    params = SamplingParams(temperature=1.0)

    def drawn(seeds: list[int], keep: list[int] | None = None) -> Any:
        (noise,) = processors(params, seeds, 0, "cpu", "counters")
        first = noise(None, torch.zeros(len(seeds), 50))
        if keep is not None:
            noise.keep(keep)
        return first, noise(None, torch.zeros(len(keep or seeds), 50))

    seeds = [5, 6, (1 << 56) - 1]
    first, second = drawn(seeds)
    assert torch.equal(drawn(seeds[1:])[0], first[1:])
    assert torch.equal(drawn(seeds[::-1])[1], second.flip(0))
    assert torch.equal(drawn(seeds, keep=[2])[1], second[2:])
    assert len({*first.flatten().tolist(), *second.flatten().tolist()}) == 300
    # as decision 18 has it: a release that drew others would not go on with runs of this one
    for step, noise in enumerate((first, second)):
        for token in (0, 1, 49):
            word = mixed(mixed(seeds[2]) + (50 * step + token + 1) * 0x9E3779B97F4A7C15)
            share = ((word >> 24 & (1 << 40) - 1) + 0.5) / 2**40
            assert float(noise[2, token]) == pytest.approx(-math.log(-math.log1p(-share)), rel=1e-5)


def test_counted_streams_are_gumbel_noise() -> None:
    from iteralign.engines.hf.sampling import processors

    (noise,) = processors(SamplingParams(temperature=1.0), list(range(400)), 0, "cpu", "counters")
    found = torch.cat([noise(None, torch.zeros(400, 500)).flatten() for _ in range(2)]).double()
    shares = torch.exp(-torch.exp(-found))  # uniform, if they are
    counts = torch.histc(shares, 100, 0.0, 1.0)
    expected = len(found) / 100
    assert float(((counts - expected) ** 2 / expected).sum()) < 160  # chi-square with 99 degrees: p = 1e-4
    rows = shares[: 400 * 500].reshape(400, 500) - 0.5
    assert abs(float((rows[:-1] * rows[1:]).mean())) < 12 / 400_000**0.5 / 12  # neighbouring seeds
    assert abs(float((rows[:, :-1] * rows[:, 1:]).mean())) < 12 / 400_000**0.5 / 12  # neighbouring tokens


def test_samples_by_counted_streams_follow_the_distribution() -> None:
    from iteralign.engines.hf.sampling import processors

    logits = torch.tensor([2.0, 1.0, 0.0, -1.0, -torch.inf])
    (noise,) = processors(SamplingParams(temperature=1.0), list(range(20000)), 0, "cpu", "counters")
    tokens = noise(None, logits.expand(20000, 5)).argmax(-1)
    shares = torch.bincount(tokens, minlength=5) / 20000
    assert torch.allclose(shares, torch.softmax(logits, -1), atol=0.015)


def test_runs_of_older_releases_keep_their_streams(tiny: Path) -> None:
    from iteralign.engines.facts import Facts

    def facts(noted: dict[str, str]) -> Facts:
        def began(name: str, value: str) -> str:
            return noted.setdefault(name, value) if value or name in noted else ""

        return Facts(None, "auto", began, print)

    older = {"device": "cuda"}
    assert facts(older).streams("counters") == "generators"
    new: dict[str, str] = {}
    assert facts(new).streams("counters") == "counters"
    assert new == {"streams": "counters"}
    facts(new).on("cuda", "bfloat16", "bfloat16")
    assert facts(new).streams("generators") == "counters"  # and on another device
    host = HFHost(locate=lambda c: c.path, warn=print, device="cpu")
    assert host.load(Checkpoint(path=str(tiny)))._streams == "generators"


def test_room_is_counted_in_tokens_and_grows_back() -> None:
    room = Room()
    assert room.rows(2000, 64) == 64
    assert room.fell_short(64, 2000) == 32
    assert room.rows(300, 64) == 64
    assert room.rows(1500, 64) == 42
    for _ in range(3):
        room.fitted(32, 2000)
        room.fitted(64, 300)  # says nothing
    assert room.rows(2000, 64) == 32
    room.fitted(32, 2000)
    assert room.rows(2000, 64) == 64
    assert room.fell_short(64, 2000) == 32
    for _ in range(7):  # tried again less and less often
        room.fitted(32, 2000)
    assert room.rows(2000, 64) == 32
    room.fitted(32, 2000)
    assert room.rows(2000, 64) == 64


def test_the_cpu_draws_what_it_always_drew() -> None:
    from iteralign.engines.hf.sampling import processors, streams_of

    seeds = [3, 4, 5]
    (noise,) = processors(SamplingParams(temperature=1.0), seeds, 0, "cpu", streams_of("cpu"))
    streams = [torch.Generator().manual_seed(s) for s in seeds]
    for _ in range(2):
        drawn = torch.stack([torch.empty(300).exponential_(generator=g) for g in streams])
        assert torch.equal(noise(None, torch.zeros(3, 300)), -drawn.clamp(min=1e-30).log())
