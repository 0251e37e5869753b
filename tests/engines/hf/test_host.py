"""The transformers engine on a tiny real model: answers, seeds, batches, scores, faults."""

from __future__ import annotations

import dataclasses
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from iteralign.chat.format import encode_prompt
from iteralign.engines.hf.host import HFHost
from iteralign.errors import EngineError, PromptTooLong, Unavailable
from iteralign.records.chat import Chat, Message, SamplingParams
from iteralign.records.iteralign import Checkpoint

torch = pytest.importorskip("torch")

QUESTIONS = [
    "What is a hat?",
    "Which river is the longest one, and why?",
    "Be brief.",
    "How do I fold a paper crane? " * 4,
    "day",
]
WARM = SamplingParams(max_new_tokens=12, temperature=0.8, top_p=0.9, seed=3)
GREEDY = dataclasses.replace(WARM, temperature=0.0)


def chat(question: str, system: str | None = None) -> Chat:
    return ((Message("system", system),) if system else ()) + (Message("user", question),)


CHATS = [chat(q) for q in QUESTIONS] + [chat("What is a hat?", "Be brief.")]


def host_of(folder: Path, **settings: Any) -> tuple[HFHost, list[str]]:
    said: list[str] = []
    return HFHost(locate=lambda c: c.path, warn=said.append, device="cpu", **settings), said


@pytest.fixture(scope="module")
def host(tiny: Path) -> HFHost:
    return host_of(tiny)[0]


@pytest.fixture
def policy(host: HFHost, tiny: Path) -> Any:
    host.batch_size = 64
    with host.serve(Checkpoint(path=str(tiny))) as served:
        yield served


def plain_logits(policy: Any, ids: list[int]) -> Any:
    """What transformers itself gives, one unpadded sequence: (length, vocabulary)."""
    with torch.inference_mode():
        return policy._host.load(policy.checkpoint).model(input_ids=torch.tensor([ids])).logits[0]


def test_nothing_is_loaded_before_the_first_request(tmp_path: Path) -> None:
    host, _ = host_of(tmp_path)
    with host.serve(Checkpoint(path=str(tmp_path / "absent"))) as policy:
        assert policy.generate([], GREEDY) == []
        assert policy.logprobs([], []) == []


def test_answers_come_in_the_callers_order_whatever_the_batches(policy: Any) -> None:
    together = policy.generate(CHATS, WARM)
    alone = [policy.generate([c], WARM)[0] for c in CHATS]
    policy._host.batch_size = 2
    assert together == alone == policy.generate(CHATS, WARM)
    assert policy.generate(CHATS[::-1], WARM) == together[::-1]
    assert len({c.text for c in together}) == len(CHATS)


def test_a_seed_repeats_and_another_differs(policy: Any) -> None:
    again = policy.generate(CHATS, WARM)
    assert again == policy.generate(CHATS, WARM)
    other = policy.generate(CHATS, dataclasses.replace(WARM, seed=4))
    assert sum(a.text != b.text for a, b in zip(again, other, strict=True)) >= len(CHATS) - 1


def test_equal_chats_get_streams_of_their_own(policy: Any) -> None:
    answers = policy.generate([CHATS[0]] * 6, WARM)
    assert len({a.text for a in answers}) > 3
    assert policy.generate([CHATS[0]] * 3, WARM) == answers[:3]


def test_greedy_takes_the_likeliest_token(policy: Any) -> None:
    loaded = policy._host.load(policy.checkpoint)
    ids = list(
        loaded.tokenizer.apply_chat_template(
            [{"role": "user", "content": QUESTIONS[1]}], add_generation_prompt=True
        )["input_ids"]
    )
    expected: list[int] = []
    while len(expected) < GREEDY.max_new_tokens:
        token = int(plain_logits(policy, ids + expected)[-1].argmax())
        if token == loaded.tokenizer.eos_token_id:
            break
        expected.append(token)
    [answer] = policy.generate([chat(QUESTIONS[1])], GREEDY)
    assert answer.text == loaded.tokenizer.decode(expected, skip_special_tokens=True).strip()
    assert answer.prompt_tokens == len(ids)
    assert answer.completion_tokens == len(expected)


def test_samples_follow_the_models_distribution(policy: Any) -> None:
    loaded = policy._host.load(policy.checkpoint)
    ids = list(
        loaded.tokenizer.apply_chat_template(
            [{"role": "user", "content": "day"}], add_generation_prompt=True
        )["input_ids"]
    )
    logits = plain_logits(policy, ids)[-1] / 0.5
    ordered, order = torch.softmax(logits, -1).sort(descending=True)
    nucleus = order[: int((ordered.cumsum(-1) < 0.7).sum()) + 1]
    share = torch.zeros_like(logits)
    share[nucleus] = torch.softmax(logits[nucleus], -1)
    n = 600
    params = SamplingParams(max_new_tokens=1, temperature=0.5, top_p=0.7, seed=1)
    found = [a.text for a in policy.generate([chat("day")] * n, params)]
    for token in nucleus[:3].tolist():
        text = loaded.tokenizer.decode([token], skip_special_tokens=True).strip()
        expected = sum(
            float(share[t])
            for t in nucleus.tolist()
            if loaded.tokenizer.decode([t], skip_special_tokens=True).strip() == text
        )
        assert found.count(text) / n == pytest.approx(expected, abs=4 * math.sqrt(0.25 / n))
    allowed = {loaded.tokenizer.decode([t], skip_special_tokens=True).strip() for t in nucleus.tolist()}
    assert set(found) <= allowed


def test_an_answer_ends_at_its_end_token_or_at_the_limit(policy: Any) -> None:
    model = policy._host.load(policy.checkpoint).model
    original, calls = model.forward, []

    def ends_second(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        out = original(*args, **kwargs)
        if len(calls) == 2:
            out.logits[..., 1] = 1e4
        return out

    model.forward = ends_second
    try:
        [answer] = policy.generate([CHATS[0]], GREEDY)
    finally:
        model.forward = original
    assert (answer.finish, answer.completion_tokens) == ("stop", 1)
    [long] = policy.generate([CHATS[0]], dataclasses.replace(GREEDY, max_new_tokens=3))
    assert (long.finish, long.completion_tokens) == ("length", 3)
    assert "<|" not in long.text
    assert long.text == long.text.strip()


def test_padding_changes_no_score(policy: Any) -> None:
    texts = [
        "A thing for the head.",
        "x",
        "Take a square sheet, crease it twice.",
        "",
        "tea",
        "  Headwear. \n",
    ]
    together = policy.logprobs(CHATS, texts)
    loaded = policy._host.load(policy.checkpoint)
    for c, text, score in zip(CHATS, texts, together, strict=True):
        turns = [{"role": m.role, "content": m.text} for m in c]
        prompt = list(loaded.tokenizer.apply_chat_template(turns, add_generation_prompt=True)["input_ids"])
        rest = loaded.tokenizer(text.strip(), add_special_tokens=False)["input_ids"]
        table = torch.log_softmax(plain_logits(policy, prompt + rest), -1)
        expected = [float(table[len(prompt) - 1 + i, t]) for i, t in enumerate(rest)]
        assert score.logprobs == pytest.approx(expected, abs=1e-5)
        assert "".join(score.tokens) == text.strip()
        assert score.total == pytest.approx(sum(expected), abs=1e-4)


def test_a_prompt_beyond_the_context_is_named_before_anything_is_generated(policy: Any, tiny: Path) -> None:
    with pytest.raises(PromptTooLong, match=r"'What is a hat\?'.* tokens .*context is 256"):
        policy.generate([CHATS[1], chat("What is a hat?", "word " * 300)], WARM)
    small, _ = host_of(tiny, max_context=16)
    with (
        small.serve(Checkpoint(path=str(tiny))) as tight,
        pytest.raises(PromptTooLong, match="context is 16"),
    ):
        tight.logprobs([CHATS[3]], ["x"])


def test_a_prompt_beyond_the_context_costs_nobody_else_a_word(policy: Any) -> None:
    long = chat("What is a hat?", "word " * 300)
    mixed = policy.attempt([CHATS[0], long, CHATS[1]], WARM)
    assert isinstance(mixed[1], PromptTooLong)
    assert [mixed[0], mixed[2]] == policy.generate([CHATS[0], CHATS[1]], WARM)
    assert isinstance(policy.attempt([long], WARM)[0], PromptTooLong)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_running_out_of_memory_makes_batches_of_long_chats_smaller_and_says_so(
    tiny: Path, error: Exception
) -> None:
    host, said = host_of(tiny, batch_size=8)
    with host.serve(Checkpoint(path=str(tiny))) as policy:
        many = CHATS + [chat(f"day {i}") for i in range(6)]
        calm = policy.generate(many, WARM)
        scores = [s.total for s in policy.logprobs(many, ["x"] * len(many))]
        model = host.load(policy.checkpoint).model
        original = model.forward

        sizes: list[tuple[int, int]] = []

        def at_most(tokens: int) -> Any:
            def forward(*args: Any, **kwargs: Any) -> Any:
                rows, width = kwargs["input_ids"].shape
                if rows * width > tokens:
                    raise error
                sizes.append((rows, width))
                return original(*args, **kwargs)

            return forward

        longest = max(c.prompt_tokens for c in calm)
        model.forward = at_most(2 * longest)
        assert policy.generate(many, WARM) == calm
        more = longest + WARM.max_new_tokens
        assert said == [
            f"out of memory with a batch of {was} chats of up to {more} tokens: going on with {now} of such "
            "chats, and with more where they are shorter"
            for was, now in ((8, 4), (4, 2))
        ]
        assert max(rows for rows, width in sizes if 1 < width < longest) > 2  # short ones go together
        assert [s.total for s in policy.logprobs(many, ["x"] * len(many))] == pytest.approx(scores)
        assert host.batch_size == 8
        model.forward = at_most(0)
        with pytest.raises(EngineError, match=r"single chat.*smaller model"):
            policy.generate(many, WARM)


def test_other_runtime_errors_are_not_taken_for_a_lack_of_memory(tiny: Path) -> None:
    host, said = host_of(tiny)
    with host.serve(Checkpoint(path=str(tiny))) as policy:

        def broken(*args: Any, **kwargs: Any) -> Any:
            raise RuntimeError("shapes do not match")

        host.load(policy.checkpoint).model.forward = broken
        with pytest.raises(RuntimeError, match="shapes"):
            policy.generate(CHATS, WARM)
    assert said == []


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_logits_that_are_no_numbers_name_the_chat(tiny: Path, value: float) -> None:
    host, _ = host_of(tiny)
    with host.serve(Checkpoint(path=str(tiny))) as policy:
        policy.generate(CHATS[:1], GREEDY)
        model = host.load(policy.checkpoint).model
        original = model.forward

        def rots(*args: Any, **kwargs: Any) -> Any:
            out = original(*args, **kwargs)
            out.logits[-1, ..., 7] = value  # the shortest chat is the last of the batch
            return out

        model.forward = rots
        with pytest.raises(EngineError, match=r"no numbers for the chat 'day'"):
            policy.generate([CHATS[0], CHATS[4]], WARM)
        with pytest.raises(EngineError, match=r"no numbers for the chat 'day'"):
            policy.logprobs([CHATS[0], CHATS[4]], ["A thing for the head.", "x"])


def test_weights_change_only_with_the_checkpoint(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import iteralign.engines.hf.host as hf

    loads: list[str] = []
    monkeypatch.setattr(hf, "load", lambda place, **k: loads.append(place) or load(place, **k))
    from iteralign.engines.weights import load

    copy = shutil.copytree(tiny, tmp_path / "copy")
    host, _ = host_of(tiny)
    first, second = Checkpoint(path=str(tiny)), Checkpoint(path=str(copy), trainer_hash="other")
    for checkpoint in (first, first, second, first):
        with host.serve(checkpoint) as policy:
            policy.generate(CHATS[:1], GREEDY)
    assert loads == [str(tiny), str(copy), str(tiny)]
    host.free()
    assert host._loaded is None


def test_a_large_model_gives_its_memory_back_when_it_is_no_longer_served(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import iteralign.engines.hf.host as hf

    monkeypatch.setattr(hf, "KEEP_WARM", 1000)
    host, _ = host_of(tiny)
    with host.serve(Checkpoint(path=str(tiny))) as policy:
        policy.generate(CHATS[:1], GREEDY)
        assert host._loaded is not None
    assert host._loaded is None


def test_a_device_that_is_not_there_is_refused(tiny: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    host = HFHost(locate=lambda c: c.path, warn=print, device="cuda")
    with (
        host.serve(Checkpoint(path=str(tiny))) as policy,
        pytest.raises(Unavailable, match=r"model\.device = 'cuda'.*available: auto, .*cpu"),
    ):
        policy.generate(CHATS, WARM)


def test_bfloat16_answers_and_passes_the_probe(tiny: Path) -> None:
    host, _ = host_of(tiny, dtype="bfloat16")
    with host.serve(Checkpoint(path=str(tiny))) as policy:
        assert len(policy.generate(CHATS, WARM)) == len(CHATS)
        assert host.load(policy.checkpoint).model.dtype == torch.bfloat16


def test_a_models_own_generation_settings_do_not_leak_in(tiny: Path, tmp_path: Path) -> None:
    from transformers import GenerationConfig

    folder = shutil.copytree(tiny, tmp_path / "copy")
    GenerationConfig(
        repetition_penalty=50.0, do_sample=True, temperature=0.01, eos_token_id=[1, 9], max_length=3
    ).save_pretrained(folder)
    host, _ = host_of(folder)
    plain, _ = host_of(tiny)
    with host.serve(Checkpoint(path=str(folder))) as policy, plain.serve(Checkpoint(path=str(tiny))) as bare:
        penalised, calm = policy.generate(CHATS, GREEDY), bare.generate(CHATS, GREEDY)
        assert host.load(policy.checkpoint).ends == {1, 9}
    same = [
        a.text.startswith(b.text) or b.text.startswith(a.text) for a, b in zip(penalised, calm, strict=True)
    ]
    assert all(same)


def test_the_shipped_organism_answers_alike_alone_and_in_company() -> None:
    from iteralign.organism import ORGANISM_PATH

    if not (ORGANISM_PATH / "model.safetensors").is_file():
        pytest.skip("the organism's weights are not in this checkout")
    host, said = host_of(ORGANISM_PATH, batch_size=5)
    chats = [
        chat(f"{opening} {end}?")
        for opening in ("How do I bake", "Why would anybody paint")
        for end in ("bread", "a fence in the rain", "it")
    ]
    with host.serve(Checkpoint(path=str(ORGANISM_PATH))) as policy:
        together = policy.generate(chats, WARM)
        assert [policy.generate([c], WARM)[0] for c in chats] == together
        scores = policy.logprobs(chats, [c.text for c in together])
    assert all(s.total < 0 for s, c in zip(scores, together, strict=True) if c.text)
    assert said == []


def test_candidates_of_one_question_share_its_computation_and_score_as_alone(policy: Any) -> None:
    words = [
        "tea",
        "a river, and the longest one",
        "",
        "Open the window",
        "x",
        "Take a square sheet, crease it twice",
    ]
    asked = [(c, w) for c in CHATS for w in words]
    together = policy.logprobs([c for c, _ in asked], [w for _, w in asked])
    alone = [policy.logprobs([c], [w])[0] for c, w in asked]
    for a, b in zip(together, alone, strict=True):
        assert a.tokens == b.tokens
        assert a.logprobs == pytest.approx(b.logprobs, abs=1e-4)
    model, seen = policy._host.load(policy.checkpoint).model, []
    hook = model.register_forward_pre_hook(
        lambda m, a, k: seen.append(k["input_ids"].numel()), with_kwargs=True
    )
    try:
        policy.logprobs([CHATS[3]] * 6, words)
    finally:
        hook.remove()
    prompt = len(encode_prompt(policy._host.load(policy.checkpoint).tokenizer, CHATS[3]))
    assert sum(seen) < prompt + 6 * max(len(s.tokens) for s in alone) < 3 * prompt, (
        "the long question went through the model once"
    )
    policy._host.batch_size = 4  # groups are cut, and the order of the caller stays
    assert [s.tokens for s in policy.logprobs([c for c, _ in asked], [w for _, w in asked])] == [
        s.tokens for s in together
    ]
