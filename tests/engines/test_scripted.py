"""The scripted engine and trainer: a loop without a model that still really learns."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from iteralign.engines.scripted import ScriptedHost, ScriptedPolicy, ScriptedTrainer
from iteralign.records.chat import Chat, Message, SamplingParams
from iteralign.records.iteralign import Checkpoint, TrainingExample


def chat(text: str) -> Chat:
    return (Message("user", text),)


def example(question: str, answer: str) -> TrainingExample:
    return TrainingExample(messages=(*chat(question), Message("assistant", answer)), source="revision")


def say(asked: Chat, memory: dict[str, str]) -> str:
    return memory.get(asked[-1].text, "no idea")


def texts(host: ScriptedHost, checkpoint: Checkpoint, *questions: str) -> list[str]:
    with host.serve(checkpoint) as policy:
        return [c.text for c in policy.generate([chat(q) for q in questions], SamplingParams())]


def test_a_policy_answers_in_order_and_counts() -> None:
    policy = ScriptedPolicy(lambda c: c[-1].text.upper())
    answers = policy.generate([chat("one two"), chat("three")], SamplingParams())
    assert [(a.text, a.finish, a.prompt_tokens, a.completion_tokens) for a in answers] == [
        ("ONE TWO", "stop", 2, 2),
        ("THREE", "stop", 1, 1),
    ]
    assert policy.asked == 2


def test_training_adds_to_what_the_start_knew(tmp_path: Path) -> None:
    host, trainer, base = ScriptedHost(say), ScriptedTrainer(), Checkpoint(path="scripted")
    first = trainer.finetune(base, [example("a", "1")], tmp_path / "first")
    second = trainer.finetune(first, [example("b", "2"), example("a", "3")], tmp_path / "second")
    assert texts(host, base, "a", "b") == ["no idea", "no idea"]
    assert texts(host, first, "a", "b") == ["1", "no idea"]
    assert texts(host, second, "b", "a") == ["2", "3"]
    assert (first.parent, second.parent) == (base.id, first.id)


def test_equal_trainings_leave_equal_files(tmp_path: Path) -> None:
    base, lessons = Checkpoint(path="scripted"), [example("a", "1"), example("b", "2")]
    made = [ScriptedTrainer().finetune(base, lessons, tmp_path / name) for name in ("one", "two")]
    assert made[0].id == made[1].id
    assert (tmp_path / "one" / "memory.json").read_bytes() == (tmp_path / "two" / "memory.json").read_bytes()


def test_it_needs_no_heavy_library() -> None:
    code = (
        "import sys, iteralign.engines.scripted\n"
        "print([m for m in ('torch', 'transformers', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
