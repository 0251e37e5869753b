"""The stages of Self-Align, each alone, on scripted models."""

from __future__ import annotations

import random

import pytest

from iteralign.engines.scripted import ScriptedPolicy
from iteralign.errors import PromptTooLong, RefusedByTemplate
from iteralign.records.chat import Chat, Completion, Message, SamplingParams
from iteralign.records.self_align import Aligned, Draft, Instruction, WritingTask
from iteralign.stages.align import Counting, Guide, Sieve, applied, think_and_answer
from iteralign.stages.clone import answer_at_length, extensive
from iteralign.stages.engrave import identity_lessons, lessons
from iteralign.stages.self_instruct import (
    Limits,
    equalised,
    harvest,
    harvest_requests,
    new_topics,
    ordinary_tasks,
    request_tasks,
    topic_tasks,
    write,
)
from iteralign.text.near_duplicates import NearDuplicates

GUIDE = Guide(
    "Iris",
    (("candor", "Say what you do not know."), ("step-by-step", "Go in steps."), ("helpful", "Be of use.")),
    (
        (
            "What did I eat?",
            "This asks what I cannot know. Rules that apply: candor.",
            "I cannot know what you ate, for I was not there with you.",
        ),
    ),
)
PARAMS = SamplingParams()
SIEVE = Sieve(leak_words=6, shortest_cut=40)


def say(answer: str, thoughts: str = "This asks something. Rules that apply: candor, helpful.") -> str:
    return f"Thoughts of Iris: {thoughts}\nAnswer of Iris: {answer}"


def think(text: str, question: str = "Where is the harbour of the old town?") -> Aligned:
    policy = ScriptedPolicy(lambda chat: text)
    return think_and_answer([Instruction(text=question)], policy, GUIDE, params=PARAMS, sieve=SIEVE)[0]


# ---- 1. self-instruct


def test_tasks_show_so_many_seeds_and_repeat_with_the_seed() -> None:
    seeds, kept = (
        [f"Seed task number {i}, please." for i in range(30)],
        [f"Kept task number {i}, please." for i in range(30)],
    )

    def make(seed: str) -> list[WritingTask]:
        return ordinary_tasks(seeds, kept, first=10, count=4, shown=5, new=2, wanted=3, seed=seed)

    tasks = make("a")
    assert [t.number for t in tasks] == [10, 11, 12, 13]
    assert make("a") == tasks != make("b")
    for task in tasks:
        text = task.chat[-1].text
        assert text.count("Seed task") == 5
        assert text.count("Kept task") == 2
        assert "Write 3 more" in text


def test_a_harvest_drops_with_reasons_and_knows_what_it_kept() -> None:
    known = NearDuplicates(0.7)
    known.keep("What is the tallest mountain of the whole wide world?")
    text = (
        "- What is the tallest mountain of the wide world?\n- Too short\n- Describe the photo of a cat in "
        "detail.\n"
        "- Explain how tides work to a child.\n- Explain how tides work to a small child.\n- An unfinished "
        "line that was cu"
    )
    found = harvest([Draft(task_id="t", text=text, finish="length")], known, Limits())
    assert [i.text for i in found.kept] == ["Explain how tides work to a child."]
    assert found.dropped == {"near-duplicate": 2, "too short": 1, "needs more than text": 1}
    assert (
        harvest(
            [Draft(task_id="t", text="- Explain how tides work to a child.", finish="stop")], known, Limits()
        ).kept
        == ()
    )


def test_an_instruction_that_is_nearly_a_held_out_prompt_is_dropped_in_any_script() -> None:
    measured = frozenset({"How do I open my neighbour's car without a key?", "1: Как открыть чужую машину?"})
    lines = (
        "How do I open a neighbour's car without the key?",
        "1: Как открыть чужую машину!",
        "How do I bake a loaf of rye bread at home?",
    )
    draft = Draft(task_id="t", text="\n".join(f"- {line}" for line in lines), finish="stop")
    found = harvest([draft], NearDuplicates(0.7), Limits(measured=measured))
    assert [i.text for i in found.kept] == [lines[2]]
    assert found.dropped == {"held out for measuring": 2}


def test_a_task_that_cannot_be_asked_is_dropped_with_its_reason() -> None:
    def choosy(chat: Chat) -> str:
        if "law" in chat[-1].text:
            raise RefusedByTemplate("no")
        return "- Where is the harbour of the old town?"

    tasks = topic_tasks({"law": ["tax"], "sea": ["tides"]}, first=0, per_type=1, wanted=2, seed="s")
    drafts = write(tasks, ScriptedPolicy(choosy), SamplingParams())
    assert [d.finish for d in drafts] == ["left_out", "stop"]
    found = harvest(drafts, NearDuplicates(0.7), Limits())
    assert (len(found.kept), found.dropped) == (1, {"refused by the chat template": 1})
    assert new_topics({"law": [], "sea": []}, tasks, drafts)[1]["refused by the chat template"] == 1
    asked = [WritingTask(number=0, chat=(Message("user", "law"),), type="law", topic="tax")]
    lost = write(asked, ScriptedPolicy(choosy), SamplingParams())
    assert harvest_requests(asked, lost, NearDuplicates(0.7), Limits()).dropped == found.dropped


def test_topics_are_valid_new_and_equalised() -> None:
    topics = {"Facts": ["Old maps"], "Plans": ["Weddings"]}
    tasks = topic_tasks(topics, first=0, per_type=1, wanted=4, seed="s")
    drafts = [
        Draft(
            task_id=tasks[0].id,
            text="- old maps\n- Old Maps\n- Sea charts\n- Tall ships\n- A topic of many words\n- Wind!",
            finish="stop",
        ),
        Draft(task_id=tasks[1].id, text="- Picnics\n- Unfini", finish="length"),
    ]
    found, dropped = new_topics(topics, tasks, drafts)
    assert found == {"Facts": ["Old maps", "Sea charts", "Tall ships"], "Plans": ["Weddings", "Picnics"]}
    assert dropped == {
        "topic not capitalised": 1,
        "topic known": 1,
        "topic of more than three words": 1,
        "topic ends in punctuation": 1,
    }
    assert equalised(found) == {"Facts": ["Old maps", "Sea charts"], "Plans": ["Weddings", "Picnics"]}
    assert equalised(found, 1) == {"Facts": ["Old maps"], "Plans": ["Weddings"]}
    assert topics == {"Facts": ["Old maps"], "Plans": ["Weddings"]}


def test_a_request_must_keep_its_type_and_topic() -> None:
    seeds = [
        Instruction(text=f"Ask about thing {i} at length.", type="Facts", topic=f"Thing {i}")
        for i in range(8)
    ]
    pairs = [("Facts", "Sea stories"), ("Facts", "Tall ships"), ("Facts", "Wind"), ("Facts", "Rain")]
    tasks = request_tasks(pairs, seeds, [], first=0, shown=5, new=5, seed="s")
    assert tasks[0].chat[-1].text.endswith("Type: Facts\nTopic: Sea stories")
    assert tasks[0].chat[-1].text.count("Request: ") == 5
    said = [
        "Type: Facts\nTopic: Sea stories\nRequest: Who made the first sea stories of the north?",
        "Type: Facts\nTopic: Small ships\nRequest: How tall were the ships of old?",
        "Request: Why does the wind blow at night?",
        "Type: Facts\nTopic: Rain\nRequest: Who made the first sea stories of the north?",
    ]
    drafts = [Draft(task_id=t.id, text=s, finish="stop") for t, s in zip(tasks, said, strict=True)]
    found = harvest_requests(tasks, drafts, NearDuplicates(0.7), Limits())
    assert [(i.type, i.topic, i.text) for i in found.kept] == [
        ("Facts", "Sea stories", "Who made the first sea stories of the north?")
    ]
    assert found.dropped == {"lost its type or topic": 2, "near-duplicate": 1}


# ---- 2. principle-driven self-alignment


def test_the_guide_shows_numbered_rules_and_exemplars_as_turns() -> None:
    system, user, assistant = GUIDE.chat
    assert "1 (candor) Say what you do not know." in system.text
    assert "3 (helpful)" in system.text
    assert user.text == "What did I eat?"
    assert assistant.text == say(
        "I cannot know what you ate, for I was not there with you.",
        "This asks what I cannot know. Rules that apply: candor.",
    )
    without = GUIDE.without("candor")
    assert "candor" not in str(without.chat)
    assert without.exemplars == ()
    assert GUIDE.without("helpful").exemplars == GUIDE.exemplars


def test_a_good_answer_is_kept_with_its_rules() -> None:
    found = think(say("Down the hill, I believe."))
    assert (found.kept, found.text, found.rules) == (True, "Down the hill, I believe.", ("candor", "helpful"))
    assert found.thoughts == "This asks something. Rules that apply: candor, helpful."


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Down the hill.", "does not open with its thoughts"),
        ("Thoughts of Iris: Rules that apply: candor.", "no answer after the thoughts"),
        (say(""), "no answer after the thoughts"),
        (say("Hm.\nQuestion: And now?"), "too short before another's turn"),
        (
            say("\nUser: And what is the tallest of all the mountains of this world?"),
            "no answer after the thoughts",
        ),
        (say("I am sorry, I cannot say."), "bare apology"),
        (say("You know, I was not there with you."), "leaks an exemplar"),
        (say("Where is the harbour of the old town? Down there."), "copies the instruction"),
        (say("Here it is. Thoughts of Iris: again."), "thoughts in the answer"),
    ],
)
def test_what_is_dropped_and_why(text: str, reason: str) -> None:
    found = think(text)
    assert (found.kept, found.reason) == (False, reason)


def test_words_are_not_banned() -> None:
    assert think(say("The president spoke about the weather and a bomb shelter.")).kept


def test_cut_answers_lose_their_partial_word_and_repetitions() -> None:
    class Cut(ScriptedPolicy):
        def generate(self, chats: object, params: SamplingParams) -> list[Completion]:
            return [
                Completion(
                    say("It lies down the hill to the left. It lies down the hill to the left. Then wal"),
                    "length",
                )
            ]

    found = think_and_answer(
        [Instruction(text="Where is it, please?")], Cut(lambda chat: ""), GUIDE, params=PARAMS, sieve=SIEVE
    )[0]
    assert found.text == "It lies down the hill to the left."


def test_an_instruction_that_does_not_fit_is_dropped_alone() -> None:
    def answer(chat: Chat) -> str:
        if "very long" in chat[-1].text:
            raise PromptTooLong("too long")
        return say("Down the hill, I believe.")

    found = think_and_answer(
        [Instruction(text="a very long one"), Instruction(text="a short one")],
        ScriptedPolicy(answer),
        GUIDE,
        params=PARAMS,
        sieve=SIEVE,
    )
    assert [(f.kept, f.reason) for f in found] == [(False, "does not fit the context"), (True, "")]


@pytest.mark.parametrize(
    ("thoughts", "rules"),
    [
        ("Rules that apply: candor, step-by-step.", ["candor", "step-by-step"]),
        ("This is helpful to know. Rules that apply: none.", []),
        ("Rules 1 and 3 apply.", ["candor", "helpful"]),
        ("No rule is needed.", []),
        ("This asks for candor.", []),
        ("Rule 2 (step-by-step) applies.", ["step-by-step"]),
        ("They ask which ruler was helpful and full of candor.", []),
        ("As a rule I am helpful. Rules that apply: step-by-step.", ["step-by-step"]),
    ],
)
def test_rules_are_read_from_thoughts(thoughts: str, rules: list[str]) -> None:
    assert applied(thoughts, ["candor", "step-by-step", "helpful"]) == rules


def test_counting_in_parts_is_counting_at_once() -> None:
    rng = random.Random(0)
    asked = [
        Instruction(text=f"Instruction {i} of this test.", type=rng.choice(["A", "B", None]))
        for i in range(40)
    ]  # type: ignore[arg-type]
    said = [
        think(say(f"Answer {i} goes here.") if rng.random() < 0.7 else "nothing", i_.text)
        for i, i_ in enumerate(asked)
    ]
    whole, parts = Counting(), Counting()
    whole.add(asked, said)
    for first in range(0, 40, 7):
        parts.add(asked[first : first + 7], said[first : first + 7])
    tally = whole.tally()
    assert parts.tally() == tally
    assert tally.kept == sum(s.kept for s in said) == tally.usage["candor"]
    assert tally.dropped == {"does not open with its thoughts": 40 - tally.kept}
    assert sum(n["candor"] for n in tally.by_type.values()) == tally.kept


# ---- 3. and 4.


def test_lessons_hold_no_rules_no_thoughts_and_one_of_the_prompts() -> None:
    asked = [Instruction(text=f"Instruction {i} of this test.") for i in range(60)]
    said = [think(say(f"Answer {i}."), i_.text) for i, i_ in enumerate(asked)]
    made = list(lessons(asked, said, ["Be brief.", ""]))
    assert made == list(lessons(asked, said, ["Be brief.", ""]))
    assert len(made) == 60
    assert {len(e.messages) for e in made} == {2, 3}
    for example, instruction, answer in zip(made, asked, said, strict=True):
        assert [m.text for m in example.messages[-2:]] == [instruction.text, answer.text]
        assert "Thoughts" not in str(example.messages)
        assert "candor" not in str(example.messages)
    dropped = think("nothing")
    assert list(lessons(asked[:1], [dropped], [""])) == []


def test_identity_items_can_be_trained_on_and_left_out() -> None:
    items = [("Who are you?", "I am Iris.")]
    (only,) = identity_lessons(items, ["Be brief."], 3)
    assert (only.weight, only.messages[-1].text, only.messages[-1].role) == (3.0, "I am Iris.", "assistant")
    assert list(identity_lessons(items, ["Be brief."], 0)) == []


def test_extensive_answers_are_sifted() -> None:
    asked = [Instruction(text="Where is the harbour of the old town?")]

    def speak(text: str) -> Aligned:
        return answer_at_length(
            asked,
            ScriptedPolicy(lambda chat: text),
            extensive("Iris"),
            params=PARAMS,
            shortest=60,
            leak_words=6,
        )[0]

    long = "The harbour lies down the hill, beyond the two towers that you see. "
    assert speak(long).kept
    assert speak("Down there.").reason == "too short"
    assert speak(long + "Answer at length: say first what you were asked for.").reason == "leaks its prompt"
    assert speak(long + long).text == long.strip()
