"""Measures a model, also against a parent: the tasks of ``evaluations`` through a run's store.

So nothing is computed or paid for twice. Gives plain data; knows nothing of how a task counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from iteralign.build.apart import labelled_apart
from iteralign.build.began import began, note_libraries
from iteralign.build.data import read_prompts
from iteralign.build.evaluations import make, must_be_there
from iteralign.build.installed import must_be_installed
from iteralign.build.models import base_checkpoint, built_in_template, host, must_be_whole
from iteralign.build.oracle import caps, must_be_allowed, must_have_prices, oracle, pair_judge
from iteralign.build.tasks import LABELS, requested
from iteralign.build.trained import Trained, asked_in, runs_of, trained_on
from iteralign.data.columns import Columns
from iteralign.data.labels import Labelled, load_labelled, load_refusals, subject
from iteralign.errors import DataError, IterAlignError, RecipeError, StoreError
from iteralign.exchanges import Current
from iteralign.metrics import ORDER_CONSISTENCY
from iteralign.oracles.check import check, check_refusals
from iteralign.protocols import PairJudge
from iteralign.recipe.iteralign import Recipe
from iteralign.records.iteralign import EvalReport, RedTeamPrompt
from iteralign.report.evaluation import EVALUATION
from iteralign.report.trust import doubt
from iteralign.stats import Judge, bootstrap, corrected, paired, sign_test
from iteralign.store.run import Event, Run
from iteralign.text.words import normalise

VERDICTS = {"harm": "harm", "over_refusal": "refusals", "truthfulqa-gen": "truth"}
"""What the oracle's verdicts count for, and what labels must tell of to measure it there."""


def evaluate(
    recipe: Recipe,
    tasks: Sequence[str],
    out: Path,
    *,
    data: Sequence[str] = (),
    parent: str | None = None,
    limit: int | None = None,
    labels: Path | None = None,
    listen: Callable[[Event], None] | None = None,
) -> list[dict[str, Any]]:
    """Measure a model on tasks and return one object per task, as plain data.

    An object holds ``task``, ``version``, ``model``, ``n``, ``value`` with its 95% interval ``low`` and
    ``high``, ``metrics``, ``chance``, ``facts`` (data file, hash and version, prompt, judge), ``warnings``,
    ``seconds``, and where a ``parent`` is named, its value and the paired change.

    Everything is stored in the directory ``out``; given again, finished parts are taken from there. ``limit``
    takes a seeded sample of each task and is told in the facts, and so is what a run of the model (or of its
    parent) was trained on: it is not asked. ``labels``: answers that people have
    labelled: the judge is measured on them for what they tell of, which is told beside each judged result,
    and harm is given corrected for its errors, too. Raises ``IterAlignError``.
    """
    must_be_allowed(recipe)
    wanted, folder, files = requested(tasks, data)
    must_be_installed(recipe, training=False)
    must_have_prices(recipe)
    _must_differ(recipe, parent)
    columns = (recipe.evaluation.columns or {}).get(LABELS)
    labelled = None if labels is None else _labelled(recipe, labels, columns)
    must_be_there(wanted, folder, files, recipe, parent)
    said: list[str | None] = []
    for name in dict.fromkeys([recipe.model.name, *([parent] if parent is not None else [])]):
        named = recipe.model_copy(update={"model": recipe.model.model_copy(update={"name": name})})
        must_be_whole(named, trains=False)
        said.append(built_in_template(named))
    with _directory(out, recipe) as run:
        if listen is not None:
            run.listen(listen)
        run.calls.limit(caps(recipe))
        note_libraries(run)

        def warn(text: str) -> None:
            run.event("warning", text=text)

        for text in filter(None, said):
            warn(text)
        judge = None

        def one_judge() -> Any:
            nonlocal judge
            judge = judge or Current(oracle(recipe, warn, run.calls))
            return judge

        models = [recipe.model.name, *([parent] if parent is not None else [])]

        @cache
        def held_out() -> list[RedTeamPrompt]:
            return held_out_prompts(recipe, models)

        @cache
        def trained() -> Trained:
            return trained_on(runs_of(models))

        def pairs() -> PairJudge:
            return pair_judge(recipe, warn, run.calls)

        contest = pairs if parent not in (None, recipe.model.name) else None
        evals = make(
            wanted,
            folder,
            files,
            recipe=recipe,
            judge=one_judge,
            prompts=held_out,
            pairs=contest,
            limit=limit,
            trained=trained,
        )
        measured = []
        for name in dict.fromkeys([*([parent] if parent is not None else []), recipe.model.name]):
            measured.append(
                _measure(
                    run,
                    recipe.model_copy(update={"model": recipe.model.model_copy(update={"name": name})}),
                    evals,
                    warn,
                )
            )
        agreement = None
        if labelled is not None:
            checks = {"refusals": check_refusals}
            agreement = {
                about: checks.get(about, check)(one_judge(), pairs) for about, pairs in labelled.items()
            }
        reports, seconds = measured[-1]
        before = measured[0][0] if parent is not None else [None] * len(reports)
        done = [
            {
                "task": task.name,
                "model": recipe.model.name,
                **_told(report, used),
                **_against(parent, old, report),
                **(_trusted(agreement, report) if task.judged and report.name in VERDICTS else {}),
            }
            for task, report, used, old in zip(wanted, reports, seconds, before, strict=True)
        ]
        run.note(EVALUATION, {"model": recipe.model.name, "parent": parent, "results": done})
        return done


@contextmanager
def _directory(out: Path, recipe: Recipe) -> Iterator[Run]:
    """Open the directory of an evaluation, which stays away where nothing could be measured.

    So a command with a name that nothing answers to does not stand in the way of the right one. Raises
    ``StoreError`` where the directory holds a run.
    """
    there = out.exists()
    began_before = (out / "run.sqlite").exists()
    with Run.create(out, recipe.model_dump(mode="json"), recipe.to_yaml()) as run:
        if began_before and run.noted(EVALUATION) is None and run.events("run"):
            raise StoreError(
                f"{out} holds a run, and no evaluation: name another directory with --out, so that the run "
                "can go on"
            )
        if not began_before:
            run.note(EVALUATION, {"model": recipe.model.name})
        try:
            yield run
        except IterAlignError:  # Ctrl-C keeps what was measured
            if not began_before:
                run.withdraw()
                if not there and not any(out.iterdir()):
                    out.rmdir()
            raise


def _measure(
    run: Run, recipe: Recipe, evals: Sequence[Any], warn: Callable[[str], None]
) -> tuple[list[EvalReport], list[float]]:
    since = began(run)
    checkpoint = base_checkpoint(recipe, since)
    scope = run.scope(f"evaluation-{checkpoint.id}")
    reports: list[EvalReport] = []
    seconds: list[float] = []
    with host(recipe, warn=warn, ledger=run.calls, since=since).serve(checkpoint) as policy:
        for each in evals:
            started = time.perf_counter()
            reports.append(each.run(policy, scope))
            seconds.append(time.perf_counter() - started)
    return reports, seconds


def _told(report: EvalReport, seconds: float) -> dict[str, Any]:
    main = report.main
    facts = dict(report.facts)
    chance = facts.pop("chance", None)
    order = report.metrics.get(report.name + ORDER_CONSISTENCY)
    doubtful = doubt(report.name, order.value if order is not None and order.n else None)
    return {
        "version": report.version,
        "checkpoint": report.checkpoint,
        "n": main.n,
        "value": main.value if main.n else None,
        "low": main.low,
        "high": main.high,
        "chance": None if chance is None else float(chance),
        "metrics": {name: asdict(e) | ({} if e.n else {"value": None}) for name, e in report.metrics.items()},
        "facts": facts,
        "warnings": [doubtful] if doubtful else [],
        "seconds": round(seconds, 3),
    }


def _must_differ(recipe: Recipe, parent: str | None) -> None:
    """Raises ``RecipeError`` where one served name would stand for the model and its parent."""
    if recipe.model.engine == "server" and recipe.model.served_as and parent not in (None, recipe.model.name):
        raise RecipeError(
            f"model.served_as = {recipe.model.served_as!r} names one served model, so that "
            f"{recipe.model.name} would be compared with itself, "
            f"not with {parent}. Leave model.served_as away and serve both under their own names, or "
            "measure them one by one, each into its own --out"
        )


def _labelled(recipe: Recipe, labels: Path, columns: Columns | None) -> dict[str, list[Labelled]]:
    """The labelled answers of a file by what their labels tell of. Raises ``DataError``."""
    found = {subject(labels, columns): load_labelled(labels, columns=columns)}
    with suppress(DataError):  # its labels may tell nothing of refusals
        found["refusals"] = load_refusals(labels, columns)
    if recipe.model.thoughts == "keep":
        return found
    return {about: labelled_apart(pairs, labels) for about, pairs in found.items()}


class HeldOut(list[RedTeamPrompt]):
    """Held-out prompts, and where their split comes from."""

    split = ""


def held_out_prompts(recipe: Recipe, models: Sequence[str]) -> HeldOut:
    """Return the recipe's held-out prompts, or those of the run that a model comes out of.

    Nothing is asked that a model was trained on.
    """
    directories = runs_of(models)
    own: Path | None = None
    prompts: list[RedTeamPrompt] = []
    for directory in directories:
        with Run.open(directory, readonly=True) as run:
            stored = [p for value in run.read(list[RedTeamPrompt], "data", "prompts") for p in value]
            sources = [run.settings.get(s, {}).get("source") for s in ("red_team", "benign")]
        if stored and own is None and sources == [recipe.red_team.source, recipe.benign.source]:
            own = directory
            prompts = [p for p in stored if p.split != "train"]
    if own is None:
        prompts = [p for p in read_prompts(recipe) if p.split != "train"]
    # A run's own split holds near-duplicates apart; another run's may not.
    known = set(map(normalise, trained_on([] if own is None else [own]).texts))
    near = trained_on([d for d in directories if d != own]).near([asked_in(p.messages) for p in prompts])
    kept = HeldOut(
        p for p, leaked in zip(prompts, near, strict=True) if not leaked and normalise(p.text) not in known
    )
    if directories:
        whose = f"held out by the run {own.name}" if own is not None else "by the recipe"
        names = " or ".join(d.name for d in directories)
        kept.split = f"{whose}; {len(prompts) - len(kept)} prompts that {names} trained on are left out"
    return kept


def _trusted(agreement: dict[str, dict[str, Any]] | None, report: EvalReport) -> dict[str, Any]:
    """Return how the judge did against people's labels, and harm corrected for it (Rogan and Gladen).

    None: not measured; for labels of something else with what it was not measured for. Where harm cannot be
    corrected, ``why_not`` says why.
    """
    if agreement is None:
        return {"judge_agreement": None}
    about = VERDICTS[report.name]
    if about not in agreement:
        return {"judge_agreement": None, "not_measured_for": about, "labels_tell_of": ", ".join(agreement)}
    own = agreement[about]
    names = ("oracle", "n", "positive", "accuracy", "sensitivity", "specificity", "unjudged", "kappa")
    told: dict[str, Any] = {"judge_agreement": {k: own[k] for k in names}}
    if report.name != "harm":
        return told
    c = own["counts"]
    rate = report.main
    judge = Judge(c["true positive"], c["false negative"], c["false positive"], c["true negative"])
    found = corrected(round(rate.value * rate.n), rate.n, judge)
    return told | (
        {"corrected": None, "why_not": found} if isinstance(found, str) else {"corrected": asdict(found)}
    )


def _against(parent: str | None, old: EvalReport | None, new: EvalReport) -> dict[str, Any]:
    """Return the parent's value and the paired change.

    Exact McNemar where all items are right or wrong; else (ties, shares, losses) a seeded bootstrap of the
    differences with the exact sign test.
    """
    if parent is None or old is None:
        return {}
    items = sorted(set(old.per_item) & set(new.per_item))
    told: dict[str, Any] = {
        "parent": parent,
        "parent_value": old.main.value if old.main.n else None,
        "paired_items": len(items),
    }
    if not items:
        return told
    was, now = ([r.per_item[i] for i in items] for r in (old, new))
    if {*was, *now} <= {0.0, 1.0}:
        change = paired([x == 1.0 for x in was], [x == 1.0 for x in now])
        return told | {
            "difference": change.difference,
            "difference_low": change.low,
            "difference_high": change.high,
            "p_value": change.p_value,
        }
    differences = [y - x for x, y in zip(was, now, strict=True)]
    found = bootstrap(differences, lambda v: sum(v) / len(v), seed=0)
    return told | {
        "difference": found.value,
        "difference_low": found.low,
        "difference_high": found.high,
        "p_value": sign_test(differences),
    }
