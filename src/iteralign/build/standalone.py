"""Each stage alone, over JSONL files: the same functions as in the loop, with files in place of the run
directory.

The formats, one JSON object a line: ``red-team`` writes Exchange records, ``judge`` Judged records,
``propose`` a constitution file, ``reflect`` lines of ``{"failure", "screening"}``, and ``finetune`` reads
those, or TRL's ``{"prompt", "completion"}`` rows, or TrainingExample records. Knows nothing of iterations.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from iteralign.build import iteralign as build
from iteralign.build.oracle import oracle as oracle_of
from iteralign.canonical import canonical
from iteralign.constitution.export import from_file, to_json
from iteralign.data.load import load_prompts
from iteralign.errors import DataError, StoreError
from iteralign.exchanges import pair
from iteralign.recipe.iteralign import Recipe
from iteralign.records.chat import Message
from iteralign.records.iteralign import (
    Checkpoint,
    Constitution,
    Exchange,
    Failure,
    Judged,
    Screening,
    TrainingExample,
)
from iteralign.stages.consolidate import consolidate
from iteralign.stages.finetune import learnt
from iteralign.stages.propose import propose
from iteralign.stages.red_team import red_team
from iteralign.stages.revise import revise
from iteralign.stages.screen import revised_exchanges, screen, unresolved

T = TypeVar("T")


def stage_red_team(recipe: Recipe, out: Path) -> dict[str, Any]:
    """Put the recipe's red-team prompts to its model and write the exchanges."""
    prompts = load_prompts(recipe.red_team.source, limit=recipe.red_team.limit, seed=recipe.seed)
    with _host(recipe).serve(build.base_checkpoint(recipe)) as policy:
        params = recipe.red_team.sampling.params(recipe.seed)
        responses = red_team(prompts, policy, params, recipe.red_team.wrap)
    return write_lines(out, pair(prompts, responses)) | {"prompts": len(prompts)}


def stage_judge(recipe: Recipe, responses: Path, out: Path) -> dict[str, Any]:
    """Have the recipe's oracle judge a file of exchanges."""
    exchanges = _read(responses, Exchange)
    verdicts = oracle_of(recipe).judge(exchanges)
    judged = [
        Judged(prompt=e.prompt, response=e.response, verdict=v)
        for e, v in zip(exchanges, verdicts, strict=True)
    ]
    return write_lines(out, judged) | {"labels": dict(Counter(v.label for v in verdicts))}


def stage_propose(recipe: Recipe, judged: Path, constitution: Path | None, out: Path) -> dict[str, Any]:
    """Have the oracle propose principles from the improper answers of a judged file; extends a constitution
    where one is given.
    """
    known = Constitution() if constitution is None else from_file(constitution)
    proposed = propose(
        oracle_of(recipe),
        _failures(judged),
        known,
        iteration=known.version + 1,
        seed=recipe.seed,
        **recipe.propose.model_dump(),
    )
    merged = consolidate(known, proposed, **recipe.consolidate.model_dump())
    _write_texts(out, [to_json(merged)])
    active = sum(p.status == "active" for p in merged.principles)
    return {"path": str(out), "proposed": len(proposed), "principles": active}


def stage_reflect(recipe: Recipe, judged: Path, constitution: Path, out: Path) -> dict[str, Any]:
    """Have the model revise its improper answers under a constitution, and the oracle screen the revisions."""
    rules, failures, oracle = from_file(constitution), _failures(judged), oracle_of(recipe)
    tried: list[Screening] = []
    section = recipe.reflection
    with _host(recipe).serve(build.base_checkpoint(recipe)) as policy:
        for attempt in range(1, section.attempts + 1):
            pending, params = unresolved(failures, tried), section.sampling.params(recipe.seed + attempt)
            revisions = revise(
                pending,
                policy,
                rules,
                params,
                principles=section.principles,
                shown=section.shown,
                attempt=attempt,
            )
            verdicts = oracle.judge(revised_exchanges(pending, revisions, params))
            tried += screen(revisions, verdicts, enabled=recipe.screen.enabled)
    by_response = {f.response.id: f for f in failures}
    rows = [{"failure": by_response[s.response_id], "screening": s} for s in tried]
    kept = sum(s.kept for s in tried)
    return write_lines(out, rows) | {"failures": len(failures), "kept": kept, "dropped": len(failures) - kept}


def stage_finetune(recipe: Recipe, examples: Path, out: Path) -> dict[str, Any]:
    """Fine-tune the recipe's model on a file of examples into the folder ``out``."""
    if out.exists() and any(out.iterdir()):
        raise StoreError(
            f"{out} is not empty: choose a folder that does not exist yet, so that no weights are overwritten"
        )
    found = _examples(examples)
    if not found:
        raise DataError(
            f"{examples}: no example to train on (no line with a kept screening, no prompt/completion row)"
        )
    trainer = build.trainer(recipe, _no_run)
    checkpoint = trainer.finetune(build.base_checkpoint(recipe), found, out)
    return {"path": str(out), "examples": len(found), "checkpoint": checkpoint.id}


def _host(recipe: Recipe) -> Any:
    return build.host(recipe, _no_run)


def _no_run(checkpoint: Checkpoint) -> str:
    return checkpoint.path  # no run directory: a name or a folder stands for itself


def _failures(path: Path) -> list[Failure]:
    judged = _read(path, Judged)
    found = [
        Failure(prompt=j.prompt, response=j.response, verdict=j.verdict)
        for j in judged
        if j.verdict.label == "improper"
    ]
    if not found:
        raise DataError(
            f"{path}: none of {len(judged)} judged answers is improper, so there is nothing to learn from"
        )
    return found


def _examples(path: Path) -> list[TrainingExample]:
    found: list[TrainingExample] = []
    for number, row in json_lines(path):
        try:
            if "screening" in row:
                screening, failure = Screening.from_json(row["screening"]), Failure.from_json(row["failure"])
                found += learnt([failure], [screening])
            elif "completion" in row:
                turns = [Message(m["role"], m["content"]) for m in (*row["prompt"], *row["completion"])]
                found.append(TrainingExample(messages=tuple(turns), source=path.name))
            else:
                found.append(TrainingExample.from_json(row))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{path}, line {number}: not an example that can be trained on: {error}"
            ) from error
    return found


def _read(path: Path, kind: type[T]) -> list[T]:
    found: list[T] = []
    for number, row in json_lines(path):
        try:
            found.append(kind.from_json(row))  # type: ignore[attr-defined]
        except ValueError as error:
            raise DataError(f"{path}, line {number}: not a {kind.__name__} record: {error}") from error
    return found


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSONL file with their line numbers, one at a time. Raises ``DataError``."""
    for number, line in enumerate(_text_lines(path), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(
                f"{path}, line {number}: not JSON ({error.msg}, column {error.colno}); one object a line is expected"
            ) from error
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {number}: {type(row).__name__} found, an object expected")
        yield number, row


def _text_lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            yield from file
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def write_lines(out: Path, rows: Iterable[object]) -> dict[str, Any]:
    """Write rows as JSONL, one by one as they come; the file appears when it is whole. Raises ``StoreError``."""
    count = 0

    def lines() -> Iterator[str]:
        nonlocal count
        for row in rows:
            count += 1
            yield canonical(row) + "\n"

    _write_texts(out, lines())
    return {"path": str(out), "rows": count}


def _write_texts(out: Path, texts: Iterable[str]) -> None:
    partial = out.with_name(f".{out.name}.partial")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w", encoding="utf-8") as file:
            file.writelines(texts)
        os.replace(partial, out)
    except OSError as error:
        raise StoreError(f"{out} cannot be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
