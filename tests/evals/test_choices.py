"""Multiple choice: chance is chance, a planted oracle is perfect, orders are balanced, and bad data are
named.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from iteralign.engines.scripted import ScriptedPolicy
from iteralign.errors import DataError, EngineError, PromptTooLong, Unsupported
from iteralign.evals import capability, hhh, truthfulqa
from iteralign.evals.choices import Question, credit, cut, mass, score
from iteralign.records.chat import Chat, Message, Score
from iteralign.records.iteralign import Checkpoint
from memory import Memory

SHARED = next(
    (p / "shared" / "data" for p in Path(__file__).resolve().parents if (p / "shared" / "data").is_dir()),
    None,
)
needs_data = pytest.mark.skipif(
    SHARED is None, reason="no folder shared/data beside the checkout: the published sets are not shipped"
)


class Scored:
    """A scorer from a function of (question, candidate) to nats."""

    checkpoint = Checkpoint(path="scored")

    def __init__(self, nats: Callable[[str, str], float], longest: int = 10**9) -> None:
        self._nats, self._longest, self.asked = nats, longest, 0

    def generate(self, chats: Any, params: Any) -> list[Any]:
        raise AssertionError("nothing is generated")

    def logprobs(self, chats: Sequence[Chat], continuations: Sequence[str]) -> list[Score]:
        if any(len(c[-1].text) > self._longest for c in chats):
            raise PromptTooLong("too long")
        self.asked += len(chats)
        return [Score((t,), (self._nats(c[-1].text, t),)) for c, t in zip(chats, continuations, strict=True)]


CONSTANT = Scored(lambda question, candidate: -3.0)


def items(n: int = 12) -> list[truthfulqa.Item]:
    return [
        truthfulqa.Item(
            number=i,
            question=f"question {i}?",
            best=f"right {i}",
            incorrect=tuple(f"wrong {i} {k}" for k in range(1 + i % 5)),
            right=(f"right {i}", f"also right {i}"),
            wrong=tuple(f"wrong {i} {k}" for k in range(1 + i % 5)),
            best_incorrect=f"wrong {i} 0",
        )
        for i in range(n)
    ]


def test_ties_share_the_credit_and_places_count_not_texts() -> None:
    assert credit([-1.0, -1.0, -2.0], {0}) == 0.5
    assert credit([-2.0, -1.0], {0}) == 0.0
    assert mass([0.0, 0.0, 0.0, 0.0], {0}) == 0.25
    assert mass([-1000.0, -2000.0], {0}) == 1.0
    assert cut("abc", 0) == cut("abc", 3) == "abc"
    assert cut("abcdef", 3) == "abc [...]"


@pytest.mark.parametrize("mode", truthfulqa.MODES)
def test_a_model_that_tells_nothing_apart_scores_the_chance_level(mode: str) -> None:
    report = truthfulqa.TruthfulQA(items(), mode, {}).run(CONSTANT, Memory())
    assert report.main.value == pytest.approx(truthfulqa.chance(items(), mode))
    assert float(report.facts["chance"]) == pytest.approx(report.main.value, abs=1e-4)
    assert truthfulqa.chance(items(), f"truthfulqa-{mode}") == truthfulqa.chance(items(), mode)


def planted(question: str, candidate: str) -> float:
    """Knows everything: answers, verdicts about answers, and letters."""
    if candidate in ("true", "false"):
        return 0.0 if ("right" in question.partition("The answer was:")[2]) == (candidate == "true") else -9.0
    if candidate in ("A", "B"):
        first = question.partition("A: ")[2].partition("\n")[0]
        return 0.0 if first.startswith(("right", "also right")) == (candidate == "A") else -9.0
    return 0.0 if "right" in candidate else -99.0


@pytest.mark.parametrize("mode", truthfulqa.MODES)
def test_a_model_that_knows_scores_one_and_one_that_lies_zero(mode: str) -> None:
    assert truthfulqa.TruthfulQA(items(), mode, {}).run(
        Scored(planted), Memory()
    ).main.value == pytest.approx(1.0)
    worst = (
        truthfulqa.TruthfulQA(items(), mode, {}).run(Scored(lambda q, c: -planted(q, c)), Memory()).main.value
    )
    right_alone = sum(len(truthfulqa.seen(i, mode)) == 1 for i in items()) / len(items())
    assert worst == pytest.approx(right_alone), (
        "in compat mode a candidate that stands alone is right whatever the model says"
    )


def test_compat_looks_at_the_first_half_of_the_candidates_rounded_up() -> None:
    (item,) = [i for i in items() if len(i.mc1) == 5][:1]
    assert truthfulqa.seen(item, "dromedary-compat") == item.mc1[:3]
    liar = Scored(
        lambda q, c: (
            9.0
            if c == "true" and "wrong" in q and q.partition("wrong")[2].strip().split()[1].startswith("4")
            else planted(q, c)
        )
    )
    assert truthfulqa.TruthfulQA([item], "dromedary", {}).run(liar, Memory()).main.value in (0.0, 1.0)


def test_modes_that_ask_the_same_share_their_scores() -> None:
    memory, policy = Memory(), Scored(planted)
    for mode in truthfulqa.MODES[:2]:
        truthfulqa.TruthfulQA(items(), mode, {}).run(policy, memory)
    assert policy.asked == sum(len(i.mc2) for i in items())


# ---- HHH


def pairs(n: int = 8) -> list[hhh.Item]:
    return [
        hhh.Item(
            subset=hhh.SUBSETS[i % 4], number=i, message=f"message {i}", better=f"good {i}", worse=f"bad {i}"
        )
        for i in range(n)
    ]


def prefers_good(question: str, letter: str) -> float:
    first = question.partition("Reply A:\n")[2].partition("\n")[0]
    return 0.0 if first.startswith("good") == (letter == "A") else -5.0


def test_hhh_is_decided_by_both_orders() -> None:
    constant, good = (hhh.HHH(pairs(), {}).run(p, Memory()) for p in (CONSTANT, Scored(prefers_good)))
    assert constant.main.value == 0.5
    assert set(constant.per_item.values()) == {0.5}
    assert good.main.value == good.metrics["hhh/order_consistency"].value == 1.0
    first_letter = hhh.HHH(pairs(), {}).run(Scored(lambda q, c: 0.0 if c == "A" else -1.0), Memory())
    assert first_letter.main.value == 0.5, "a model that always says A tells nothing apart"
    assert first_letter.metrics["hhh/order_consistency"].value == 0.0
    assert constant.metrics["hhh/order_consistency"].value == 0.0, "a tie prefers neither reply"
    leaning = Scored(lambda q, c: prefers_good(q, c) * 0.5 + (1.0 if c == "A" else 0.0))
    assert hhh.HHH(pairs(), {}).run(leaning, Memory()).main.value == 1.0, "a lean to one letter is cancelled"


def test_both_orders_of_a_pair_of_answers_are_compared() -> None:
    always_a = Scored(lambda q, c: 0.0 if c == "A" else -1.0)
    best = Scored(lambda q, c: 0.0 if q.partition("A: ")[2].startswith("right") == (c == "A") else -1.0)
    for policy, agree in ((always_a, 0.0), (best, 1.0)):
        report = truthfulqa.TruthfulQA(items(), "binary", {}).run(policy, Memory())
        assert report.metrics["truthfulqa-binary/order_consistency"].value == agree


def test_hhh_by_likelihood_sums_the_replies_and_normalises_by_their_characters() -> None:
    long = [
        hhh.Item(subset="honest", number=0, message="hello", better="a long good reply", worse="bad"),
        hhh.Item(subset="other", number=1, message="hello you", better="good", worse="a long bad reply"),
    ]
    asked: list[str] = []

    def per_character(question: str, reply: str) -> float:
        asked.append(question)
        return -len(reply) * (0.5 if "good" in reply else 1.0)

    report = hhh.HHHLikelihood(long, {}).run(Scored(per_character), Memory())
    assert set(asked) == {"hello", "hello you"}, "the bare request"
    assert [report.per_item[i.id] for i in long] == [0.0, 1.0], "summed, the longer reply loses"
    assert report.metrics["hhh-likelihood/normalised"].value == 1.0
    assert report.metrics["hhh-likelihood/honest"].value == 0.0
    tied = hhh.HHHLikelihood(pairs(), {}).run(CONSTANT, Memory())
    assert tied.main.value == 0.5
    wide = hhh.Item(subset="other", number=9, message="x" * 9_000, better="good " * 900, worse="bad")
    cut_down = hhh.HHHLikelihood([wide], {}).run(Scored(per_character, longest=2_500), Memory())
    assert cut_down.facts["shortened"] == "1"
    assert cut_down.metrics["hhh-likelihood/normalised"].value == 1.0, "by the characters that were scored"


def test_swapped_items_give_complementary_answers() -> None:
    policy = Scored(lambda q, c: (hash((len(q), c)) % 997) / 100 + prefers_good(q, c) / 7)
    swapped = [
        hhh.Item(subset=i.subset, number=i.number, message=i.message, better=i.worse, worse=i.better)
        for i in pairs()
    ]
    ours, theirs = (hhh.HHH(x, {}).run(policy, Memory()).per_item for x in (pairs(), swapped))
    assert [a + b for a, b in zip(ours.values(), theirs.values(), strict=True)] == [1.0] * len(ours)


def test_a_question_that_does_not_fit_is_cut_and_counted_and_costs_nobody_else() -> None:
    long = hhh.Item(subset="other", number=99, message="x" * 9_000, better="good", worse="bad" * 3_000)
    report = hhh.HHH([*pairs(), long], {}).run(Scored(prefers_good, longest=2_500), Memory())
    assert report.facts["shortened"] == "1"
    assert report.main.n == 9
    none = hhh.HHH([long], {}).run(Scored(prefers_good, longest=100), Memory())
    assert (none.main.n, none.per_item, none.facts["not_asked"]) == (0, {}, "1")


@needs_data
def test_the_published_sets_are_whole_and_chance_is_what_is_published() -> None:
    assert SHARED is not None
    found = hhh.load(SHARED / "hhh_alignment" / "hhh_alignment.jsonl")
    assert [sum(i.subset == s for i in found) for s in hhh.SUBSETS] == [58, 59, 61, 43]
    assert hhh.HHH(found, {}).run(CONSTANT, Memory()).main.value == 0.5
    for name, n in (
        ("mc_task_v1_817.json", 817),
        ("TruthfulQA_v1_817.csv", 817),
        ("mc_task_2025_790.json", 790),
        ("TruthfulQA_2025_790.csv", 790),
    ):
        questions = truthfulqa.load(SHARED / "truthfulqa" / name)
        assert len(questions) == n
        if n == 817:
            for mode, level in (("mc1", 0.2225), ("dromedary", 0.2225), ("dromedary-compat", 0.4070)):
                assert truthfulqa.chance(questions, mode) == pytest.approx(level, abs=5e-5)
                assert truthfulqa.TruthfulQA(questions, mode, {}).run(
                    CONSTANT, Memory()
                ).main.value == pytest.approx(level, abs=5e-5)
            assert sum(len(truthfulqa.seen(q, "dromedary-compat")) == 1 for q in questions) == 40
    json_file, table = (
        truthfulqa.load(SHARED / "truthfulqa" / f) for f in ("mc_task_v1_817.json", "TruthfulQA_v1_817.csv")
    )
    assert {i.question for i in json_file} == {i.question for i in table}
    with pytest.raises(DataError, match=r"best incorrect answer.*take the 2025 revision"):
        truthfulqa.TruthfulQA(json_file, "binary", {"data": "mc_task.json"})


# ---- bad data

TASK = {"question": "q?", "mc1_targets": {"a": 1, "b": 0}, "mc2_targets": {"a": 1, "b": 0}}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (TASK | {"question": ""}, r"item 2, field 'question': '' instead of a text"),
        (
            {k: v for k, v in TASK.items() if k != "mc2_targets"},
            r"item 2, field 'mc2_targets': None instead of an object",
        ),
        (TASK | {"mc1_targets": {}}, r"item 2, field 'mc1_targets': the list of candidates is empty"),
        (
            TASK | {"mc1_targets": {"a": 1, "b": 2}},
            r"item 2, field 'mc1_targets': the candidate 'b' has the label 2",
        ),
        (
            TASK | {"mc1_targets": {"a": 1, "b": 1, "c": 0}},
            r"item 2, field 'mc1_targets': the label 1 stands 2 times",
        ),
        (TASK | {"mc2_targets": {"a": 1, " ": 0}}, r"item 2, field 'mc2_targets': a candidate is empty"),
        (
            TASK | {"mc2_targets": {"a": 1}},
            r"item 2, field 'mc2_targets': it needs a candidate with 1 and one with 0",
        ),
        (7, r"item 2: is a number"),
        (TASK, r"questions 1 and 2 are the same: 'q\?'"),
    ],
)
def test_bad_questions_are_named_with_file_place_and_field(tmp_path: Path, row: Any, message: str) -> None:
    file = tmp_path / "mc.json"
    file.write_text(json.dumps([TASK, row]))
    with pytest.raises(DataError, match=message) as caught:
        truthfulqa.load(file)
    assert str(file) in str(caught.value)


def test_the_hubs_layout_is_read_like_the_published_one(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    (tmp_path / "mc.json").write_text(json.dumps([TASK]))
    row = {
        k: {"choices": list(v), "labels": list(v.values())} if isinstance(v, dict) else v
        for k, v in TASK.items()
    }
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row]), tmp_path / "mc.parquet")
    assert truthfulqa.load(tmp_path / "mc.parquet") == truthfulqa.load(tmp_path / "mc.json")
    row["mc1_targets"] = {"choices": ["a", "b"], "labels": [1]}
    (tmp_path / "bad.json").write_text(json.dumps([row]))
    with pytest.raises(
        DataError, match=r"item 1, field 'mc1_targets': 2 choices, 2 of them different, and 1 label:"
    ):
        truthfulqa.load(tmp_path / "bad.json")


def test_a_duplicate_option_is_named(tmp_path: Path) -> None:
    file = tmp_path / "mc.json"
    file.write_text(
        '[{"question": "q", "mc1_targets": {"a": 1, "b": 0, "b": 0}, "mc2_targets": {"a": 1, "b": 0}}]'
    )
    with pytest.raises(DataError, match="the key 'b' occurs twice"):
        truthfulqa.load(file)
    table = tmp_path / "t.csv"
    table.write_text("Question,Best Answer,Correct Answers,Incorrect Answers\nq?,a,a; c; c,b\n")
    with pytest.raises(DataError, match=r"field 'correct answers': 'c' stands twice"):
        truthfulqa.load(table)
    table.write_text("Question,Best Answer,Incorrect Answers\nq?,a,b\n")
    with pytest.raises(DataError, match=r"field 'correct answers': None instead of a text. Fields: question"):
        truthfulqa.load(table)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"subset": "kind", "input": "m", "chosen": "a", "rejected": "b"},
            r"line 1, field 'subset': 'kind' is none of harmless",
        ),
        (
            {"subset": "other", "chosen": "a", "rejected": "b"},
            r"line 1, field 'input': None instead of a text",
        ),
        (
            {"subset": "other", "input": "m", "chosen": "a"},
            r"line 1, field 'rejected': None instead of a text",
        ),
        (
            {"subset": "other", "input": "m", "chosen": "a ", "rejected": "a"},
            r"line 1: both replies are the same text",
        ),
        ({"subset": "other", "input": "m", "target_scores": {"a": 1}}, r"line 1, field 'target_scores': two"),
        (
            {
                "subset": "other",
                "input": "m",
                "chosen": "a",
                "rejected": "b",
                "target_scores": {"a": 0, "b": 1},
            },
            r"line 1, field 'target_scores': it contradicts",
        ),
    ],
)
def test_bad_hhh_items_are_named(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    file = tmp_path / "hhh.jsonl"
    file.write_text(json.dumps(row))
    with pytest.raises(DataError, match=message):
        hhh.load(file)


def test_hhh_is_read_in_big_benchs_own_layout(tmp_path: Path) -> None:
    folder = tmp_path / "harmless"
    folder.mkdir()
    (folder / "task.json").write_text(
        json.dumps({"examples": [{"input": "m", "target_scores": {"x": 0, "y": 1}}]})
    )
    (item,) = hhh.load(folder / "task.json")
    assert (item.subset, item.better, item.worse) == ("harmless", "y", "x")


def test_scores_that_are_no_numbers_and_engines_without_scores_are_errors() -> None:
    question = Question(messages=(Message("user", "q"),), candidates=("a", "b"))
    with pytest.raises(EngineError, match=rf"question {question.id}.*no number"):
        score(Scored(lambda q, c: float("nan")), Memory(), [question])
    with pytest.raises(Unsupported, match=r"gives no log-probabilities: evaluate with model\.engine = hf"):
        score(ScriptedPolicy(lambda chat: "x"), Memory(), [question])


# ---- capability


def test_capability_is_the_loss_of_reference_answers(tmp_path: Path) -> None:
    file = tmp_path / "c.jsonl"
    rows = [
        {"instruction": "do it", "input": "with this", "output": "done"},
        {"prompt": "p", "response": "four"},
        {"text": "plain"},
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    references = capability.load(file)
    assert [(r.prompt, r.answer) for r in references] == [
        ("do it\n\nwith this", "done"),
        ("p", "four"),
        (capability.PLAIN, "plain"),
    ]
    report = capability.Capability(references, {}).run(
        Scored(lambda q, c: -2.0 if c == "done" else -1.0), Memory()
    )
    assert sorted(report.per_item.values()) == [1.0, 1.0, 2.0]
    assert report.main.value == pytest.approx(4 / 3)
    assert report.metrics["capability/perplexity"].value == pytest.approx(2.718281828 ** (4 / 3))
    file.write_text('{"prompt": "p"}')
    with pytest.raises(DataError, match=r"line 1: no answer. Needed: one of response"):
        capability.load(file)
