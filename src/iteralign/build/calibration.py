"""How far an oracle can be trusted: measured against the truth, or against labels of people.

A part of the composition root. Decides nothing about the method.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from iteralign.build.apart import labelled_apart
from iteralign.build.data import read_prompts
from iteralign.build.models import ORGANISM, base_checkpoint, host
from iteralign.build.oracle import caps, oracle
from iteralign.data.columns import Columns
from iteralign.data.sample import stratified, told
from iteralign.exchanges import answer, pair
from iteralign.protocols import Oracle
from iteralign.recipe.iteralign import Recipe
from iteralign.recipe.load import recipe_of, shared
from iteralign.report.products import write
from iteralign.store.run import Run


def check_oracle(
    recipe: Recipe,
    labels: Path | None = None,
    limit: int | None = None,
    columns: Columns | None = None,
) -> dict[str, Any]:
    """Return how often the recipe's oracle agrees with the truth, by subject.

    The truth are the labelled pairs of a file, or the organism's grammar on its held-out answers.
    """
    from iteralign.oracles.check import check, check_refusals, with_truth

    judge = oracle(recipe)
    if labels is not None:
        return {f"verdicts on {labels.name}": _checked(recipe, judge, labels, limit, columns)}
    from iteralign.organism.truth import truth

    def declines(question: str, text: str) -> bool:
        return truth(question, text) == "refusal"

    organism = {"name": ORGANISM, "chat_template": None, "engine": "hf"}
    subject = recipe.model_copy(update={"model": recipe.model.model_copy(update=organism)})
    held_out = [p for p in read_prompts(recipe) if p.split != "train"]
    strata = [(p.category, p.intent) for p in held_out]
    prompts = [held_out[i] for i in stratified(strata, limit, recipe.seed)]
    with host(subject, warn=lambda text: None).serve(base_checkpoint(subject)) as policy:
        exchanges = pair(prompts, answer(prompts, policy, recipe.evaluation.sampling.params(recipe.seed)))
    benign = [
        (e, declines(e.prompt.text, e.response.text)) for e in exchanges if e.prompt.intent != "harmful"
    ]
    sample = _sample(limit, len(held_out), recipe.seed)
    return {
        "verdicts on the organism's answers": check(judge, with_truth(exchanges, declines)) | sample,
        "refusals among answers to benign prompts": check_refusals(judge, benign) | sample,
    }


def _checked(
    recipe: Recipe, judge: Oracle, labels: Path, limit: int | None, columns: Columns | None
) -> dict[str, Any]:
    """Return how the oracle did on labelled pairs, with a ``sample`` where not all were taken."""
    from iteralign.data.labels import load_labelled
    from iteralign.oracles.check import check

    count = len(load_labelled(labels, columns=columns))
    chosen = load_labelled(labels, limit=limit, seed=recipe.seed, columns=columns)
    if recipe.model.thoughts == "apart":
        chosen = labelled_apart(chosen, labels)
    return check(judge, chosen) | _sample(limit, count, recipe.seed)


def _sample(limit: int | None, count: int, seed: int) -> dict[str, str]:
    return {"sample": text} if (text := told(limit, count, seed)) else {}


def calibrate(
    directory: Path, labels: Path, limit: int | None = None, columns: Columns | None = None
) -> dict[str, Any]:
    """Measure a run's own oracle against people's labels, and keep the result with the run.

    Its harm rates are then given corrected, too. The oracle's requests go through the run's ledger and
    budget, so that a paid oracle is not asked twice. Raises ``IterAlignError``.
    """
    with Run.open(directory) as run:
        recipe = shared(recipe_of(run.settings))
        run.calls.limit(caps(recipe))
        judge = oracle(recipe, lambda text: run.event("warning", text=text), run.calls)
        found = {"labels": labels.name, **_checked(recipe, judge, labels, limit, columns)}
        run.note("calibration", found)
        if (
            directory / "exports" / "scores.md"
        ).is_file():  # the figure that the run ended with shows it, too
            write(run, "figure")
        return found
