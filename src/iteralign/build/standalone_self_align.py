"""Each stage of Self-Align alone, over JSONL files in place of the run directory.

The formats, one JSON object a line: ``instruct`` writes Instruction records; ``answer`` and ``extend`` read
those, or ``{"text"}`` rows, and write ``{"instruction", "answer"}``; ``engrave`` and ``clone`` read what
these wrote. Files are read and written in parts, so that they may be large.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from iteralign.algorithms.self_align import write_instructions
from iteralign.algorithms.self_align_steps import Parts, Steps
from iteralign.build.apart import tell_parted
from iteralign.build.lines import json_lines, write_lines
from iteralign.build.models import base_checkpoint, host, trainer
from iteralign.build.parts import Listen, teller
from iteralign.build.self_align_words import read_words
from iteralign.build.standalone import must_be_new, served, train
from iteralign.chat.thoughts import part
from iteralign.data.answered import to_answered
from iteralign.data.columns import Columns
from iteralign.data.fields import to_prompt
from iteralign.data.rows import QUESTION_FIELDS, Row
from iteralign.errors import DataError
from iteralign.log import log
from iteralign.protocols import Policy
from iteralign.recipe.self_align import SelfAlignRecipe
from iteralign.records.chat import Chat
from iteralign.records.iteralign import TrainingExample
from iteralign.records.self_align import Aligned, Instruction
from iteralign.stages.align import Sieve, think_and_answer
from iteralign.stages.clone import answer_at_length, extensive
from iteralign.stages.engrave import identity_lessons, lessons
from iteralign.store.run import Run
from iteralign.text.printable import count_of


def stage_instruct(recipe: SelfAlignRecipe, out: Path, listen: Listen | None = None) -> dict[str, Any]:
    """Write instructions from the recipe's seeds."""
    loop = recipe.loop()
    settings = recipe.model_dump(mode="json")
    with TemporaryDirectory() as folder, Run.create(Path(folder) / "run", settings, recipe.to_yaml()) as run:
        if listen is not None:
            run.listen(listen)
        unused = trainer(loop, run.locate)
        parts = Parts(
            base=base_checkpoint(loop),
            host=host(loop),
            engraver=unused,
            cloner=unused,
            evals=(),
            words=read_words(recipe),
        )
        found = write_instructions(Steps(run, recipe, parts))
    return write_lines(out, found) | {"origins": dict(Counter(i.origin for i in found))}


def stage_answer(
    recipe: SelfAlignRecipe,
    instructions: Path,
    out: Path,
    columns: Columns | None = None,
    listen: Listen | None = None,
) -> dict[str, Any]:
    """Answer instructions under the rules, and sift the answers."""
    section = recipe.align
    guide = read_words(recipe).guide
    params = section.sampling.params(recipe.seed)
    told = teller("answers", _count(instructions, columns), listen, "align")
    sieve = Sieve(section.leak_words, section.shortest_cut)

    def ask(policy: Policy, items: Sequence[Instruction]) -> list[Aligned]:
        return think_and_answer(items, policy, guide, params, sieve)

    return _answered(recipe, _instructions(instructions, columns), out, ask, told)


def stage_extend(
    recipe: SelfAlignRecipe,
    instructions: Path,
    out: Path,
    columns: Columns | None = None,
    listen: Listen | None = None,
) -> dict[str, Any]:
    """Answer instructions at length with the recipe's model, the engraved one, and sift the answers."""
    section = recipe.clone
    params = section.params(recipe.seed)
    told = teller("answers", _count(instructions, columns), listen, "clone")
    prompt = extensive(recipe.assistant)

    def ask(policy: Policy, items: Sequence[Instruction]) -> list[Aligned]:
        return answer_at_length(items, policy, prompt, params, section.shortest, section.leak_words)

    return _answered(recipe, _instructions(instructions, columns), out, ask, told)


def stage_engrave(
    recipe: SelfAlignRecipe,
    answers: Path,
    out: Path,
    columns: Columns | None = None,
    listen: Listen | None = None,
) -> dict[str, Any]:
    """Train the recipe's model on answers, without rules and thoughts."""
    words = read_words(recipe)
    prompts = (words.prompts[0], "")
    must_be_new(out)
    examples = _lessons(recipe, answers, prompts, "engraving", columns)
    examples += identity_lessons(words.identity, prompts, recipe.engrave.identity)
    return train(recipe.loop(), examples, out, listen)


def stage_clone(
    recipe: SelfAlignRecipe,
    answers: Path,
    out: Path,
    columns: Columns | None = None,
    listen: Listen | None = None,
) -> dict[str, Any]:
    """Train the recipe's model on extensive answers under random short prompts."""
    words = read_words(recipe)
    prompts = (*words.prompts, "")
    must_be_new(out)
    examples = _lessons(recipe, answers, prompts, "cloning", columns)
    examples += identity_lessons(words.identity, prompts, recipe.clone.identity)
    return train(recipe.loop(recipe.clone.training), examples, out, listen)


def _lessons(
    recipe: SelfAlignRecipe, answers: Path, prompts: Sequence[str], source: str, columns: Columns | None
) -> list[TrainingExample]:
    """Return what a file's answers teach. Raises ``DataError`` where none was kept."""
    examples: list[TrainingExample] = []
    parted = 0
    for instruction, given, turns in _answers(answers, columns):
        answer = given if recipe.model.thoughts == "keep" else _apart(given)
        parted += answer is not given
        for lesson in lessons([instruction], [answer], prompts, source):
            examples.append(lesson if not turns else _under(lesson, turns))
    tell_parted(answers, parted)
    if not examples:
        raise DataError(f"{answers}: none of its answers was kept, so there is nothing to train on")
    return examples


def _apart(answer: Aligned) -> Aligned:
    """An answer without its thought; one that is nothing but a thought is not learnt."""
    said = part(answer.text)
    if said.thought is None:
        return answer
    kept = answer.kept and bool(said.answer)
    return replace(answer, id="", text=said.answer, kept=kept)


def _under(lesson: TrainingExample, turns: Chat) -> TrainingExample:
    """A lesson of a dialogue: all its turns, under its own system turn if there is one, else the lesson's."""
    first = lesson.messages[:1]
    system = first if first[0].role == "system" and turns[0].role != "system" else ()
    return replace(lesson, id="", messages=(*system, *turns, lesson.messages[-1]))


def _answered(
    recipe: SelfAlignRecipe,
    items: Iterator[Instruction],
    out: Path,
    ask: Callable[[Policy, Sequence[Instruction]], list[Aligned]],
    told: Callable[[str, int], None],
) -> dict[str, Any]:
    counts = Counter[str]()

    def rows() -> Iterator[dict[str, Any]]:
        with served(recipe.loop()) as policy:
            told("started", 0)
            while batch := list(islice(items, max(96, 4 * recipe.model.batch_size))):
                for instruction, answer in zip(batch, ask(policy, batch), strict=True):
                    counts[answer.reason or "kept"] += 1
                    yield {"instruction": instruction, "answer": answer}
                told("progress", counts.total())

    done = write_lines(out, rows())
    told("done", counts.total())
    return done | {"kept": counts.pop("kept", 0), "dropped": dict(counts)}


def _count(path: Path, columns: Columns | None) -> int:
    return sum(1 for _ in json_lines(path, columns))


def _instructions(path: Path, columns: Columns | None) -> Iterator[Instruction]:
    found = False
    dialogues = 0
    for where, row in json_lines(path, columns):
        found = True
        try:
            if isinstance(row.get("instruction"), dict):  # answers of another stage: asked again
                yield _instruction(row["instruction"])
            elif str(row.get("id", "")).startswith("instruction-"):
                yield Instruction.from_json(row)
            elif isinstance(row.get("text"), str):
                yield Instruction(text=row["text"], type=row.get("type"), topic=row.get("topic"))
            else:
                asked = to_prompt(Row(where, row), source=path.name, intent="benign")
                dialogues += len(asked.messages) > 1
                yield Instruction(text=asked.text, type=asked.category, topic=asked.topic)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{where}: no instruction (an Instruction record, or an object with a text): {_first(error)}"
            ) from error
    if not found:
        raise DataError(f"{path}: holds no instruction")
    if dialogues:
        log(
            f"{path}: {count_of(dialogues, 'request')} of several turns: only the last question of each was "
            "asked (Self-Align answers single instructions)"
        )


def _answers(path: Path, columns: Columns | None) -> Iterator[tuple[Instruction, Aligned, Chat]]:
    """Yield instructions with their answers; of a row of one's own also the turns before the answer."""
    for where, row in json_lines(path, columns):
        try:
            turns: Chat = ()
            if "instruction" in row and any(
                isinstance(row.get(n), Mapping) for n in ("instruction", "answer")
            ):
                instruction = _instruction(row["instruction"])
                answer = row["answer"]
            else:
                read = to_answered(Row(where, _instructed(row)), path.name)
                turns = read.prompt.messages
                instruction = Instruction(text="\n\n".join(m.text for m in turns))
                answer = read.answer
            if isinstance(answer, str):
                answer = Aligned(
                    instruction_id=instruction.id, text=answer, kept=bool(answer.strip()), finish="stop"
                )
            yield instruction, answer if isinstance(answer, Aligned) else Aligned.from_json(answer), turns
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{where}: no instruction with its answer, as `self-align answer` writes "
                "them; your own may be plain: "
                f'{{"instruction": "...", "answer": "..."}} ({_first(error)})'
            ) from error


def _instructed(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose instruction is the question, whatever else could be: what belongs to it stays."""
    if not isinstance(row.get("instruction"), str) or "answer" not in row:
        return row
    return {k: v for k, v in row.items() if k == "instruction" or k.lower() not in QUESTION_FIELDS[0]}


def _instruction(value: object) -> Instruction:
    if isinstance(value, str):
        return Instruction(text=value)
    return Instruction.from_json(value)  # type: ignore[arg-type]


def _first(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error).splitlines()[0]
