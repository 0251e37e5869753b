"""Each stage of Self-Align alone, over JSONL files: the same functions as in the run, with files in place of
the run directory.

The formats, one JSON object a line: ``instruct`` writes Instruction records; ``answer`` and ``extend`` read
those, or ``{"text"}`` rows, and write ``{"instruction", "answer"}``; ``engrave`` and ``clone`` read what
these wrote. Files are read and written in parts, so that they may be large.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from iteralign.algorithms.self_align import write_instructions
from iteralign.algorithms.self_align_steps import Parts, Steps
from iteralign.build import iteralign as build
from iteralign.build.self_align_words import read_words
from iteralign.build.standalone import json_lines, write_lines
from iteralign.errors import DataError, StoreError
from iteralign.protocols import Policy
from iteralign.recipe.self_align import SelfAlignRecipe
from iteralign.records.iteralign import Checkpoint, TrainingExample
from iteralign.records.self_align import Aligned, Instruction
from iteralign.stages.align import Sieve, think_and_answer
from iteralign.stages.clone import answer_at_length, extensive
from iteralign.stages.engrave import identity_lessons, lessons
from iteralign.store.run import Run


def stage_instruct(recipe: SelfAlignRecipe, out: Path) -> dict[str, Any]:
    """Write instructions from the recipe's seeds."""
    loop = recipe.loop()
    with (
        TemporaryDirectory() as folder,
        Run.create(Path(folder) / "run", recipe.model_dump(mode="json"), recipe.to_yaml()) as run,
    ):
        trainer = build.trainer(loop, run.locate)
        parts = Parts(
            base=build.base_checkpoint(loop),
            host=build.host(loop, _no_run),
            engraver=trainer,
            cloner=trainer,
            evals=(),
            words=read_words(recipe),
        )
        steps = Steps(run, recipe, parts)
        found = write_instructions(steps)
    return write_lines(out, found) | {"origins": dict(Counter(i.origin for i in found))}


def stage_answer(recipe: SelfAlignRecipe, instructions: Path, out: Path) -> dict[str, Any]:
    """Answer instructions under the rules, and sift the answers."""
    section, guide = recipe.align, read_words(recipe).guide
    params, sieve = section.sampling.params(recipe.seed), Sieve(section.leak_words, section.shortest_cut)

    def ask(policy: Policy, items: Sequence[Instruction]) -> list[Aligned]:
        return think_and_answer(items, policy, guide, params, sieve)

    return _answered(recipe, instructions, out, ask)


def stage_extend(recipe: SelfAlignRecipe, instructions: Path, out: Path) -> dict[str, Any]:
    """Answer instructions at length with the recipe's model, the engraved one, and sift the answers."""
    section = recipe.clone
    params = section.params(recipe.seed)
    prompt = extensive(recipe.assistant)

    def ask(policy: Policy, items: Sequence[Instruction]) -> list[Aligned]:
        return answer_at_length(items, policy, prompt, params, section.shortest, section.leak_words)

    return _answered(recipe, instructions, out, ask)


def stage_engrave(recipe: SelfAlignRecipe, answers: Path, out: Path) -> dict[str, Any]:
    """Train the recipe's model on answers, without rules and thoughts."""
    prompts = (read_words(recipe).prompts[0], "")
    return _trained(
        recipe,
        answers,
        out,
        prompts,
        "engraving",
        recipe.engrave.identity,
        build.trainer(recipe.loop(), _no_run),
    )


def stage_clone(recipe: SelfAlignRecipe, answers: Path, out: Path) -> dict[str, Any]:
    """Train the recipe's model on extensive answers under random short prompts."""
    prompts = (*read_words(recipe).prompts, "")
    trainer = build.trainer(recipe.loop(recipe.clone.training), _no_run)
    return _trained(recipe, answers, out, prompts, "cloning", recipe.clone.identity, trainer)


def _answered(
    recipe: SelfAlignRecipe,
    source: Path,
    out: Path,
    ask: Callable[[Policy, Sequence[Instruction]], list[Aligned]],
) -> dict[str, Any]:
    loop, counts = recipe.loop(), Counter[str]()

    def rows() -> Iterator[dict[str, Any]]:
        items = _instructions(source)
        with build.host(loop, _no_run).serve(build.base_checkpoint(loop)) as policy:
            while part := list(islice(items, max(96, 2 * recipe.model.batch_size))):
                for instruction, answer in zip(part, ask(policy, part), strict=True):
                    counts[answer.reason or "kept"] += 1
                    yield {"instruction": instruction, "answer": answer}

    done = write_lines(out, rows())
    return done | {"kept": counts.pop("kept", 0), "dropped": dict(counts)}


def _trained(
    recipe: SelfAlignRecipe,
    answers: Path,
    out: Path,
    prompts: Sequence[str],
    source: str,
    identity: int,
    trainer: Any,
) -> dict[str, Any]:
    if out.exists() and any(out.iterdir()):
        raise StoreError(
            f"{out} is not empty: choose a folder that does not exist yet, so that no weights are overwritten"
        )
    examples: list[TrainingExample] = []
    for instruction, answer in _answers(answers):
        examples += lessons([instruction], [answer], prompts, source)
    if not examples:
        raise DataError(f"{answers}: none of its answers was kept, so there is nothing to train on")
    examples += identity_lessons(read_words(recipe).identity, prompts, identity)
    checkpoint = trainer.finetune(build.base_checkpoint(recipe.loop()), examples, out)
    return {"path": str(out), "examples": len(examples), "checkpoint": checkpoint.id}


def _instructions(path: Path) -> Iterator[Instruction]:
    found = False
    for number, row in json_lines(path):
        found = True
        try:
            if "instruction" in row:  # answers of another stage: asked again
                yield _instruction(row["instruction"])
            elif "id" in row:
                yield Instruction.from_json(row)
            else:
                yield Instruction(text=row["text"], type=row.get("type"), topic=row.get("topic"))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{path}, line {number}: no instruction (an Instruction record, or an object with a text): {_first(error)}"
            ) from error
    if not found:
        raise DataError(f"{path}: holds no instruction")


def _answers(path: Path) -> Iterator[tuple[Instruction, Aligned]]:
    for number, row in json_lines(path):
        try:
            instruction, answer = _instruction(row["instruction"]), row["answer"]
            if isinstance(answer, str):
                answer = Aligned(
                    instruction_id=instruction.id, text=answer, kept=bool(answer.strip()), finish="stop"
                )
            yield instruction, answer if isinstance(answer, Aligned) else Aligned.from_json(answer)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{path}, line {number}: no instruction with its answer, as `self-align answer` writes them; your own may be plain: "
                f'{{"instruction": "...", "answer": "..."}} ({_first(error)})'
            ) from error


def _instruction(value: object) -> Instruction:
    return Instruction(text=value) if isinstance(value, str) else Instruction.from_json(value)  # type: ignore[arg-type]


def _first(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error).splitlines()[0]


def _no_run(checkpoint: Checkpoint) -> str:
    return checkpoint.path  # no run directory: a name or a folder stands for itself
