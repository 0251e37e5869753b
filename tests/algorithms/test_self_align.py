"""The four stages on scripted parts: they run, resume to the same result, and hold little in memory."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from iteralign.algorithms.ablation import ablation
from iteralign.algorithms.self_align import self_align
from iteralign.algorithms.self_align_steps import Parts, Words
from iteralign.engines.scripted import ScriptedHost, ScriptedPolicy, ScriptedTrainer
from iteralign.errors import TrainingError
from iteralign.evals.length import AnswerLength
from iteralign.evals.pairs import OpenQuestion, Pairs
from iteralign.recipe.self_align import SelfAlignRecipe
from iteralign.records.chat import Chat, Message
from iteralign.records.iteralign import Checkpoint, RedTeamPrompt, TrainingExample
from iteralign.records.pairs import Contest, Preference
from iteralign.records.self_align import Aligned, Harvest, Instruction, SelfAlignResult
from iteralign.report.self_align import answers, print_result, summary
from iteralign.stages.align import Guide
from iteralign.store.run import Run

WORDS = [
    f"{a}{b}"
    for a in ("ba", "de", "fi", "go", "lu", "ma", "ne", "pi", "ro", "su")
    for b in ("lan", "mer", "nis", "tor", "vek", "zul", "dra", "pho")
]
SETTINGS: dict[str, Any] = {
    "shard": 7,
    "self_instruct": {"prompts": 20, "round": 3, "new": 1},
    "topics": {"rounds": 2, "wanted": 3, "round": 4},
    "model": {"name": "base"},
}


def some(rng: random.Random, count: int) -> str:
    return " ".join(rng.sample(WORDS, count))


def model(chat: Chat, memory: dict[str, str]) -> str:
    """Writes instructions and topics of made-up words, thinks under rules, talks at length when asked."""
    question = chat[-1].text
    system = chat[0].text if chat[0].role == "system" else ""
    rng = random.Random(str(chat))
    if question.startswith("Here are requests"):
        return (
            "\n".join(f"- Tell me about {some(rng, 5)}." for _ in range(4)) + "\n- Draw a picture of a house."
        )
    if question.startswith("Name "):
        return "\n".join(f"- {some(rng, 2).capitalize()}" for _ in range(3))
    if question.startswith("Write one more request"):
        type_, topic = re.findall(r"^(?:Type|Topic): (.*)$", question, re.MULTILINE)[-2:]
        return f"Type: {type_}\nTopic: {topic}\nRequest: What of {topic.lower()} and {some(rng, 4)}?"
    if "think about which of these rules" in system:
        if rng.random() < 0.1:
            return "I forgot to think."
        rule = "candor" if "candor" in system else "helpful"
        return (
            f"Thoughts of Iris: This asks something. Rules that apply: {rule}.\n"
            f"Answer of Iris: Under {rule}, {some(rng, 6)}."
        )
    known = memory.get(question, "plain base answer")
    return (
        f"{known} " + " ".join(f"And {some(rng, 5)}." for _ in range(5))
        if "take your time" in system
        else known
    )


GUIDE = Guide("Iris", (("candor", "Say what you do not know."), ("helpful", "Be of use.")), ())
OWN = Words(
    seeds=tuple(f"Explain {w} in your own words, please." for w in WORDS[:12]),
    topics=tuple(
        Instruction(
            text=f"What about {t.lower()} then, my friend?", type=t, topic=f"{t} one", origin="topic-guided"
        )
        for t in ("Facts", "Plans")
    ),
    guide=GUIDE,
    prompts=("You are Iris.", "Answer.", "Speak."),
    identity=(("Who are you?", "I am Iris."),),
    lines={"seeds": 12},
)


class Trainer(ScriptedTrainer):
    """Also remembers what it was given."""

    def finetune(self, start: Checkpoint, examples: Any, out: Path) -> Checkpoint:
        self.given: list[TrainingExample] = list(examples)
        assert len(self.given) == len(examples)
        return super().finetune(start, self.given, out)


def recipe(**changes: Any) -> SelfAlignRecipe:
    return SelfAlignRecipe.model_validate(SETTINGS | changes)


def parts(run: Run, words: Words = OWN) -> Parts:
    asked = [
        RedTeamPrompt(
            messages=(Message("user", f"What is {w}?"),), source="t", intent="benign", split="held_out"
        )
        for w in WORDS[:5]
    ]
    return Parts(
        base=Checkpoint(path="base", weights_hash="w"),
        host=ScriptedHost(model, run.locate),
        engraver=Trainer(run.locate, "engraver"),
        cloner=Trainer(run.locate, "cloner"),
        evals=[AnswerLength(asked, recipe().evaluation.sampling.params(0))],
        words=words,
    )


def start(folder: Path, words: Words = OWN, **changes: Any) -> tuple[Run, SelfAlignResult, Parts]:
    chosen = recipe(**changes)
    run = Run.create(folder, chosen.model_dump(mode="json"), chosen.to_yaml())
    made = parts(run, words)
    return run, self_align(run, chosen, made), made


def test_the_four_stages(tmp_path: Path) -> None:
    run, result, made = start(tmp_path / "run")
    with run:
        assert result.instructions == {
            "self-instruct": 20,
            "topic-guided": result.instructions["topic-guided"],
        }
        assert result.instructions["topic-guided"] >= 8
        asked = sum(result.instructions.values())
        assert result.aligned.asked == asked
        assert result.aligned.kept + result.aligned.dropped["does not open with its thoughts"] == asked
        assert result.aligned.usage == {"candor": result.aligned.kept}
        assert [m.stage for m in result.models] == ["base", "engraved", "cloned"]
        assert result.checkpoint.path == "checkpoints/cloned"

        engraved = made.engraver.given  # type: ignore[attr-defined]
        assert len(engraved) == result.aligned.kept + 1
        assert {e.messages[0].text for e in engraved if e.messages[0].role == "system"} == {"You are Iris."}
        assert any(e.messages[0].role == "user" for e in engraved)
        assert all("Thoughts" not in str(e.messages) for e in engraved)
        cloned = made.cloner.given  # type: ignore[attr-defined]
        assert {e.messages[0].text for e in cloned if e.messages[0].role == "system"} == set(OWN.prompts)
        assert all(len(e.messages[-1].text) >= 128 for e in cloned if e.source == "cloning")
        learnt = {e.messages[-2].text for e in engraved}
        assert any(e.messages[-1].text.startswith("Under candor") for e in cloned), (
            "the teacher is the engraved model"
        )
        assert learnt

        data = summary(run)
        assert data["dropped"]["needs more than text"] >= 3
        assert set(data["models"]) == {"base", "engraved", "cloned"}
        assert data["human_lines"] == {"seeds": 12}
        assert len(answers(run, limit=3)) == 3
        scopes = run.scopes()
        assert sum(s.startswith("align-") for s in scopes) == -(-asked // 7)


def test_a_round_that_is_stopped_keeps_the_parts_that_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ScriptedPolicy, "pace", lambda policy: (math.inf, 1), raising=False)
    asked: list[Chat] = []

    def stopping(chat: Chat, memory: dict[str, str]) -> str:
        if chat[-1].text.startswith("Here are requests"):
            asked.append(chat)
            if len(asked) == 3:
                raise KeyboardInterrupt
        return model(chat, memory)

    def started() -> SelfAlignResult:
        with Run.create(tmp_path / "run", recipe().model_dump(mode="json"), recipe().to_yaml()) as run:
            host = ScriptedHost(stopping, run.locate)
            return self_align(run, recipe(), dataclasses.replace(parts(run), host=host))

    with pytest.raises(KeyboardInterrupt):
        started()
    result = started()
    assert asked[3] == asked[2], "the third of the round's requests is the first that is asked again"
    assert asked.count(asked[0]) == 1
    other, whole, _ = start(tmp_path / "whole")
    other.close()
    assert result == whole


def test_it_repeats_and_a_finished_run_asks_for_nothing(tmp_path: Path) -> None:
    first, one, _ = start(tmp_path / "a")
    second, two, _ = start(tmp_path / "b")
    with first, second:
        assert one == two
        assert first.digest() == second.digest()
    run, again, made = start(tmp_path / "a")
    with run:
        assert again == one
        assert made.host.served == []  # type: ignore[attr-defined]


class Killed(Exception):
    pass


@pytest.mark.parametrize("moment", range(3, 150, 9))
def test_it_resumes_from_any_interruption(tmp_path: Path, moment: int) -> None:
    whole, result, _ = start(tmp_path / "whole")
    chosen = recipe()
    count = 0

    def kill(event: Any) -> None:
        nonlocal count
        count += 1
        if count == moment:
            raise Killed

    with Run.create(tmp_path / "cut", chosen.model_dump(mode="json"), chosen.to_yaml()) as run:
        run.listen(kill)
        with contextlib.suppress(Killed):
            self_align(run, chosen, parts(run))
    run, again, _ = start(tmp_path / "cut")
    with whole, run:
        assert again == result
        assert run.digest() == whole.digest()


def test_the_verbose_tax_is_judged_on_open_questions(tmp_path: Path) -> None:
    class Longer:
        name = "longer"

        def compare(self, contests: Sequence[Contest]) -> list[Preference]:
            return [
                Preference(
                    contest_id=c.id,
                    better="first" if len(c.first) > len(c.second) else "second",
                    judge=self.name,
                )
                for c in contests
            ]

    questions = [OpenQuestion(number=i, turns=(f"What of {w}?",)) for i, w in enumerate(WORDS[:6])]
    params = recipe().evaluation.sampling.params(0)
    chosen = recipe()
    for _ in range(2):  # the second time from the store
        with Run.create(tmp_path / "run", chosen.model_dump(mode="json"), chosen.to_yaml()) as run:
            made = parts(run)
            fields = {f: getattr(made, f) for f in made.__dataclass_fields__}

            def tuned(chat: Chat, memory: dict[str, str]) -> str:
                cloned = any(len(a) > 128 for a in memory.values())
                return (
                    "a much longer answer than that"
                    if cloned and chat[-1].text.startswith("What of") and len(chat) == 1
                    else model(chat, memory)
                )

            fields |= {
                "pairs": lambda: Pairs("helpfulness", questions, {}, Longer(), params),
                "host": ScriptedHost(tuned, run.locate),
            }
            result = self_align(run, chosen, Parts(**fields))
            assert result.helpfulness is not None
            assert (result.helpfulness.main.value, result.helpfulness.main.n) == (1.0, 6)
            assert summary(run)["helpfulness"]["helpfulness"]["value"] == 1.0


def test_what_is_measured_on_is_never_learnt(tmp_path: Path) -> None:
    given = tuple(Instruction(text=f"Given instruction number {i}.") for i in range(9))
    fields = {f: getattr(OWN, f) for f in OWN.__dataclass_fields__}
    run, result, made = start(
        tmp_path / "run",
        Words(**(fields | {"given": given, "measured": frozenset({"GIVEN instruction, number 3!"})})),
    )
    with run:
        assert result.instructions == {"given": 8}
        assert not any("number 3" in str(e.messages) for e in made.engraver.given)  # type: ignore[attr-defined]
        assert any("held out" in str(e.fields["text"]) for e in run.events("warning"))
    alone = fields | {"given": given[:1], "measured": frozenset({given[0].text})}
    with pytest.raises(TrainingError, match="there was no instruction"):
        start(tmp_path / "alone", Words(**alone))
    plain, _, _ = start(tmp_path / "plain")
    with plain:
        text = plain.read(Harvest, "self-instruct-0001", "kept")[0].kept[0].text
    run, _, _ = start(tmp_path / "written", Words(**(fields | {"measured": frozenset({text})})))
    with run:
        assert summary(run)["dropped"]["held out for measuring"] == 1
        assert text not in {i.text for h in run.read(Harvest, "self-instruct-0001", "kept") for i in h.kept}


def test_nothing_is_trained_where_nothing_was_kept(tmp_path: Path) -> None:
    chosen = recipe(topics={"rounds": 0})
    with Run.create(tmp_path / "run", chosen.model_dump(mode="json"), chosen.to_yaml()) as run:
        made = parts(run)

        def thoughtless(chat: Chat, memory: dict[str, str]) -> str:
            return "No thoughts." if chat[0].role == "system" else model(chat, memory)

        made = Parts(
            **{
                **{f: getattr(made, f) for f in made.__dataclass_fields__},
                "host": ScriptedHost(thoughtless, run.locate),
            }
        )
        with pytest.raises(
            TrainingError, match=r"none of 20 answers was kept .20 does not open with its thoughts"
        ):
            self_align(run, chosen, made)


def test_a_type_without_topics_is_told(tmp_path: Path) -> None:
    chosen = recipe()
    with Run.create(tmp_path / "run", chosen.model_dump(mode="json"), chosen.to_yaml()) as run:
        made = parts(run)

        def barren(chat: Chat, memory: dict[str, str]) -> str:
            return (
                "- not capitalised"
                if chat[-1].text.startswith("Name ") and "Plans" in chat[-1].text
                else model(chat, memory)
            )

        made = Parts(
            **{
                **{f: getattr(made, f) for f in made.__dataclass_fields__},
                "host": ScriptedHost(barren, run.locate),
            }
        )
        result = self_align(run, chosen, made)
        assert "topic-guided" not in result.instructions
        assert any("'Plans'" in str(e.fields["text"]) for e in run.events("warning"))
        assert summary(run)["dropped"]["topic not capitalised"] == 2


def test_without_cloning_the_engraved_model_is_the_result(tmp_path: Path) -> None:
    run, result, _ = start(tmp_path / "run", clone={"enabled": False})
    with run:
        assert [m.stage for m in result.models] == ["base", "engraved"]
        assert result.cloned is None
        assert result.checkpoint.path == "checkpoints/engraved"


def test_given_instructions_replace_the_first_stage(tmp_path: Path) -> None:
    given = tuple(Instruction(text=f"Given instruction number {i}.") for i in range(9))
    run, result, _ = start(
        tmp_path / "run", Words(**{**{f: getattr(OWN, f) for f in OWN.__dataclass_fields__}, "given": given})
    )
    with run:
        assert result.instructions == {"given": 9}
        assert not any(run.read(Harvest, s, "kept") for s in run.scopes())


def test_a_model_that_repeats_itself_ends_with_what_there_is_and_a_warning(tmp_path: Path) -> None:
    class Dull(ScriptedHost):
        pass

    few = {"training": {"min_lessons": 1}}
    chosen = recipe(
        self_instruct={"prompts": 50, "round": 2, "rounds": 4}, topics={"rounds": 0}, engrave=few, clone=few
    )
    with Run.create(tmp_path / "run", chosen.model_dump(mode="json"), chosen.to_yaml()) as run:
        made = parts(run)

        def dull(chat: Chat, memory: dict[str, str]) -> str:
            return (
                "- Always the very same thing again.\n" * 3
                if chat[-1].text.startswith("Here are")
                else model(chat, memory)
            )

        made = Parts(
            **{**{f: getattr(made, f) for f in made.__dataclass_fields__}, "host": Dull(dull, run.locate)}
        )
        result = self_align(run, chosen, made)
        assert result.instructions == {"self-instruct": 1}
        assert any("1 of 50" in str(e.fields["text"]) for e in run.events("warning"))
        assert summary(run)["dropped"]["near-duplicate"] >= 20


def test_the_ablation_tells_what_a_rule_does(tmp_path: Path) -> None:
    run, result, made = start(tmp_path / "run")

    def follows(rule: str, question: str, answer: str) -> bool | None:
        return rule in answer

    with run:
        rows = {r["rule"]: r for r in ablation(run, recipe(), made, ["candor", "helpful"], follows=follows)}
        digest = run.digest()
        assert rows["candor"]["applied"] == result.aligned.kept
        assert rows["candor"]["follows_with"]["value"] == 1.0
        assert rows["candor"]["follows_without"]["value"] == 0.0
        assert rows["candor"]["changed"]["value"] == 1.0
        assert rows["helpful"]["applied"] == 0
        assert rows["helpful"]["changed"] is None
        assert rows["helpful"]["changed_others"]["n"] > 0
        assert rows["helpful"]["follows_with"] is None
        assert ablation(run, recipe(), made, ["candor"], follows=follows)[0] == rows["candor"]
        assert run.digest() == digest


def test_hostile_text_of_a_model_stays_text(tmp_path: Path) -> None:
    import io

    from rich.console import Console

    bad = "\x1b[31mRules that apply: candor\x1b[0m [red]x[/red]"
    chosen = recipe(topics={"rounds": 0})
    with Run.create(tmp_path / "run", chosen.model_dump(mode="json"), chosen.to_yaml()) as run:
        made = parts(run)

        def hostile(chat: Chat, memory: dict[str, str]) -> str:
            said = model(chat, memory)
            return said.replace("Under candor", bad)

        made = Parts(
            **{
                **{f: getattr(made, f) for f in made.__dataclass_fields__},
                "host": ScriptedHost(hostile, run.locate),
            }
        )
        self_align(run, chosen, made)
        out = io.StringIO()
        print_result(Console(file=out, markup=False, highlight=False, width=110), summary(run))
        assert "\x1b" not in out.getvalue()
        stored: Sequence[Aligned] = run.read(Aligned, "align-0001", "answers")
        assert any("\x1b[31m" in a.text for a in stored)
