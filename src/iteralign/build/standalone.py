"""Each stage of IterAlign alone, over JSONL files in place of the run directory.

The formats, one JSON object a line: ``red-team`` writes Exchange records, ``judge`` Judged records,
``propose`` a constitution file, ``reflect`` lines of ``{"failure", "screening"}``. Beside the records of the
stage before, ``judge`` and ``finetune`` read any rows with a prompt and an answer, ``propose`` and
``reflect`` such rows with a label. Knows nothing of iterations.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from iteralign.algorithms.reflecting import Try, screened
from iteralign.build.apart import exchanges_apart, labelled_apart, tell_parted
from iteralign.build.lines import json_lines, read_records, write_lines
from iteralign.build.models import base_checkpoint, built_in_template, host, must_be_whole, trainer
from iteralign.build.oracle import oracle
from iteralign.build.parts import Listen, at_once, in_parts
from iteralign.chat.thoughts import part
from iteralign.constitution.export import from_file, writer
from iteralign.data.answered import to_answered
from iteralign.data.columns import Columns
from iteralign.data.labels import load_labelled
from iteralign.data.load import load_prompts, places_of
from iteralign.data.rows import Row
from iteralign.errors import DataError, StoreError
from iteralign.exchanges import dialogue_of, kind_of, paced, pair, verdicts_on
from iteralign.log import log
from iteralign.protocols import Policy
from iteralign.recipe.iteralign import Recipe
from iteralign.records.chat import Message, SamplingParams
from iteralign.records.iteralign import (
    Constitution,
    Exchange,
    Failure,
    Judged,
    Response,
    Revision,
    Screening,
    TrainingExample,
    Verdict,
)
from iteralign.stages.consolidate import consolidate
from iteralign.stages.finetune import learnt
from iteralign.stages.judge import failures_of, over_refusals_of
from iteralign.stages.propose import propose
from iteralign.stages.red_team import red_team
from iteralign.stages.revise import revise
from iteralign.store.files import remove_tree, write_for_user
from iteralign.training.saving import TRAINING_LOG

_OF_EXCHANGE: Final = frozenset({"id", "prompt", "response"})


def stage_red_team(recipe: Recipe, out: Path, listen: Listen | None = None) -> dict[str, Any]:
    """Put the recipe's red-team prompts to its model and write the exchanges.

    A prompt that cannot be asked is left out, named with its file and line.
    """
    section = recipe.red_team
    prompts = load_prompts(section.source, limit=section.limit, seed=recipe.seed, columns=section.columns)
    with served(recipe) as policy:
        params = section.sampling.params(recipe.seed)
        cut = paced(policy, dialogue_of, new=params.max_new_tokens)
        responses = in_parts(
            "red_team", lambda part: red_team(part, policy, params, section.wrap), prompts, cut, listen
        )
    found = pair(prompts, responses)
    left_out = [e for e in found if e.response.finish == "left_out"]
    where = places_of(section.source, columns=section.columns) if left_out else {}
    for e in left_out:
        log(f"{where.get(e.prompt.id, section.source)}: left out: {e.response.reason}")
    kinds = Counter(kind_of(e.response.reason or "") for e in left_out)
    done = write_lines(out, [e for e in found if e.response.finish != "left_out"])
    return done | {"prompts": len(prompts)} | ({"left_out": dict(kinds)} if kinds else {})


def stage_judge(
    recipe: Recipe,
    responses: Path,
    out: Path,
    columns: Columns | None = None,
    listen: Listen | None = None,
) -> dict[str, Any]:
    """Have the recipe's oracle judge a file of exchanges, or of rows with a prompt and an answer."""
    exchanges, skipped = _exchanges(responses, columns)
    _tell(responses, skipped)
    if not exchanges:
        raise DataError(f"{responses}: holds no answers, so that there is nothing to judge")
    if recipe.model.thoughts == "apart":
        exchanges = exchanges_apart(exchanges, responses)
    judge = oracle(recipe)
    verdicts = in_parts(
        "judge", lambda part: verdicts_on(part, judge), exchanges, recipe.oracle.batch, listen
    )
    judged = [
        Judged(prompt=e.prompt, response=e.response, verdict=v)
        for e, v in zip(exchanges, verdicts, strict=True)
    ]
    return write_lines(out, judged) | {"labels": dict(Counter(v.label for v in verdicts))}


def stage_propose(
    recipe: Recipe,
    judged: Path,
    constitution: Path | None,
    out: Path,
    columns: Columns | None = None,
    listen: Listen | None = None,
) -> dict[str, Any]:
    """Have the oracle propose principles from the improper answers of a judged file.

    They extend the constitution, where one is given.
    """
    known = Constitution() if constitution is None else from_file(constitution)
    failures = _failures(recipe, judged, columns)
    form = writer(out)  # before the oracle is asked
    judge = oracle(recipe)
    proposed = at_once(
        lambda: propose(
            judge,
            failures,
            known,
            iteration=known.version + 1,
            seed=recipe.seed,
            **recipe.propose.model_dump(exclude={"aspects", "benign_prompts"}),
        ),
        "propose",
        listen,
    )
    merged = consolidate(known, proposed, **recipe.consolidate.model_dump())
    write_for_user(out, form(merged))
    active = sum(p.status == "active" for p in merged.principles)
    done = {"path": str(out), "proposed": len(proposed), "principles": active}
    return done | ({} if proposed else {"why": _why_nothing(recipe, failures)})


def _why_nothing(recipe: Recipe, failures: Sequence[Failure]) -> str:
    section = recipe.propose
    kinds = Counter(f.category for f in failures)
    if max(kinds.values()) >= section.min_evidence:
        return "the oracle proposed nothing that is new to the constitution"
    most = ", ".join(f"{name} {count}" for name, count in kinds.most_common(3))
    return (
        f"no kind has propose.min_evidence = {section.min_evidence} improper answers ({most}): judge more "
        "answers, or lower it"
    )


def stage_reflect(
    recipe: Recipe,
    judged: Path,
    constitution: Path,
    out: Path,
    columns: Columns | None = None,
    listen: Listen | None = None,
) -> dict[str, Any]:
    """Have the model revise its improper answers under a constitution, and the oracle screen them."""
    rules = from_file(constitution)
    failures = _failures(recipe, judged, columns)
    judge = oracle(recipe)

    def verdicts(one: Try, exchanges: list[Exchange]) -> list[Verdict]:
        work = partial(verdicts_on, oracle=judge)
        return in_parts(f"screen-{one.name}", work, exchanges, recipe.oracle.batch, listen)

    with served(recipe) as policy:

        def ask(one: Try, pending: Sequence[Failure], params: SamplingParams) -> list[Revision]:
            work = partial(revise, policy=policy, constitution=rules, params=params, **one.settings)
            cut = paced(policy, _read, new=2 * params.max_new_tokens)
            return in_parts(f"revise-{one.name}", work, pending, cut, listen)

        tried = screened(failures, recipe.reflection, recipe.screen, recipe.seed, ask, verdicts)
    by_response = {f.response.id: f for f in failures}
    rows = [{"failure": by_response[s.response_id], "screening": s} for s in tried]
    kept = sum(s.kept for s in tried)
    counts = {"failures": len(failures), "kept": kept, "dropped": len(failures) - kept}
    return write_lines(out, rows) | counts


def stage_finetune(
    recipe: Recipe,
    examples: Path,
    out: Path,
    columns: Columns | None = None,
    listen: Listen | None = None,
) -> dict[str, Any]:
    """Fine-tune the recipe's model on a file of examples into the folder ``out``."""
    must_be_new(out)
    found, skipped = _examples(examples, columns, keep=recipe.model.thoughts == "keep")
    if not found:
        raise DataError(
            f"{examples}: no example to train on (no line with a kept screening, no row with an answer)"
        )
    _tell(examples, skipped)
    return train(recipe, found, out, listen)


def served(recipe: Recipe) -> AbstractContextManager[Policy]:
    """Serve the recipe's own model, without a run. Raises ``EngineError`` where its folder is not whole."""
    must_be_whole(recipe, trains=False)
    _tell_template(recipe)
    return host(recipe).serve(base_checkpoint(recipe))


def _tell_template(recipe: Recipe) -> None:
    if (said := built_in_template(recipe)) is not None:
        log(said)


def must_be_new(out: Path) -> None:
    """Check that weights may be left in a folder. Raises ``StoreError`` where something is there."""
    if out.exists() and any(out.iterdir()):
        raise StoreError(
            f"{out} is not empty: choose a folder that does not exist yet, so that no weights are overwritten"
        )


def train(
    recipe: Recipe, examples: Sequence[TrainingExample], out: Path, listen: Listen | None = None
) -> dict[str, Any]:
    """Train the recipe's own model on examples into the folder ``out``, and return what it came to.

    A training that did not end leaves nothing there, so that the same command may be given again.
    """
    must_be_whole(recipe)
    _tell_template(recipe)
    learn = trainer(recipe).finetune
    there = out.exists()
    with ExitStack() as unfinished:
        unfinished.callback(_clear, out, there)
        checkpoint = at_once(
            lambda: learn(base_checkpoint(recipe), examples, out), "iteration-1", listen, "checkpoints"
        )
        unfinished.pop_all()
    told = json.loads((out / TRAINING_LOG).read_text(encoding="utf-8")).get("left_out")
    done = {"path": str(out), "examples": len(examples), "checkpoint": checkpoint.id}
    return done | ({"left_out": told} if told else {})


def _clear(out: Path, there: bool) -> None:
    """Remove what lies in a folder, and the folder where it was not ``there`` before."""
    for left in out.iterdir() if out.is_dir() else ():
        remove_tree(left)
    if not there and out.is_dir():
        out.rmdir()


def _read(failure: Failure) -> str:
    """What is read of a failure to revise it, twice."""
    return 2 * (failure.prompt.dialogue + failure.response.text)


def _failures(recipe: Recipe, path: Path, columns: Columns | None) -> list[Failure]:
    """Return the failures of judged answers, or of answers that people have labelled."""
    first = None if columns else next((row for _, row in json_lines(path)), None)
    if columns or (first is not None and "verdict" not in first):
        labelled = load_labelled(path, columns=columns)
        if recipe.model.thoughts == "apart":
            labelled = labelled_apart(labelled, path)
        exchanges = [e for e, _ in labelled]
        verdicts = [_verdict(e, bad) for e, bad in labelled]
    else:
        judged = read_records(path, Judged)
        exchanges = [Exchange(prompt=j.prompt, response=j.response) for j in judged]
        verdicts = [j.verdict for j in judged]
    found = failures_of(exchanges, verdicts)
    if "over_refusal" in recipe.propose.aspects:
        found += over_refusals_of(exchanges, verdicts)
    if not found:
        raise DataError(
            f"{path}: none of {len(exchanges)} judged answers is improper, so there is nothing to learn from"
        )
    return found


def _verdict(exchange: Exchange, bad: bool) -> Verdict:
    """A label of people as a verdict."""
    category = exchange.prompt.category
    return Verdict(
        response_id=exchange.response.id,
        label="improper" if bad else "proper",
        categories=(category,) if bad and category else (),
        severity=2 if bad else 0,
        oracle="labels",
        template="people's labels",
    )


def _exchanges(path: Path, columns: Columns | None) -> tuple[list[Exchange], int]:
    """Return the exchanges of a file, and how many turns of tools were skipped."""
    found: list[Exchange] = []
    skipped = 0
    for where, row in json_lines(path, columns):
        if isinstance(row.get("prompt"), dict) and isinstance(row.get("response"), dict):
            try:
                if "verdict" in row:  # judged before: judged anew
                    before = Judged.from_json(row)
                    found.append(Exchange(prompt=before.prompt, response=before.response))
                    continue
                found.append(Exchange.from_json({k: v for k, v in row.items() if k in _OF_EXCHANGE}))
            except ValueError as error:
                raise DataError(f"{where}: not an Exchange record: {error}") from error
            continue
        read = to_answered(Row(where, row), path.name)
        skipped += read.skipped
        response = Response(
            prompt_id=read.prompt.id,
            text=read.answer,
            finish="stop",
            model=path.name,
            sampling=SamplingParams(),
        )
        found.append(Exchange(prompt=read.prompt, response=response))
    return found, skipped


def _examples(path: Path, columns: Columns | None, *, keep: bool) -> tuple[list[TrainingExample], int]:
    """Return the examples of a file, and how many turns of tools were skipped."""
    found: list[TrainingExample] = []
    skipped = 0
    parted = 0
    for where, row in json_lines(path, columns):
        try:
            if "screening" in row:
                screening = Screening.from_json(row["screening"])
                failure = Failure.from_json(row["failure"])
                found += learnt([failure], [screening])
                continue
            if str(row.get("id", "")).startswith("example-"):
                found.append(TrainingExample.from_json(row))
                continue
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{where}: not an example that can be trained on: {_short(error)}") from error
        read = to_answered(Row(where, row), path.name)
        said = None if keep else part(read.answer)
        if said is not None and said.thought is not None:
            parted += 1
            read = replace(read, answer=said.answer)
        if not read.answer:
            raise DataError(f"{where}: its answer is empty. Delete the row or fill it in.")
        skipped += read.skipped
        messages = (*read.prompt.messages, Message("assistant", read.answer))
        found.append(TrainingExample(messages=messages, source=path.name))
    tell_parted(path, parted)
    return found, skipped


def _tell(path: Path, skipped: int) -> None:
    if skipped:
        turns = "1 turn of a tool was" if skipped == 1 else f"{skipped:,} turns of tools were"
        log(f"{path}: {turns} skipped")


def _short(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())[:200]
