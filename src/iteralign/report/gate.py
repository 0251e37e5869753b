"""The gate before a run: for each of its tests the n that it has, the n that it needs, and what it can see.

Pure: a recipe and the sizes of its data in, figures and words out. What the tests can prove stands in
``power``; reads no file and raises nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from iteralign.metrics import metric
from iteralign.recipe.iteralign import Recipe
from iteralign.records.iteralign import GateKind
from iteralign.report.power import (
    CHURN,
    POWER,
    fall_seen,
    margin_for,
    needed_to_fall,
    needed_to_hold,
    needed_to_keep,
    rise_passed,
)
from iteralign.stages.accept import spent
from iteralign.text.printable import safe

SHARES = ("lm-eval:", "truthfulqa-mc2")
"""Beginnings of tasks whose items may be anything from 0 to 1: the gate tests these as it tests losses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateForecast:
    """One test of the gate before it is made."""

    metric: str
    kind: GateKind
    n: int | None
    """items that it has, at most; None where that is not known before they are measured"""
    needed: int
    """the smallest n at which a total fall (``falls``), or a candidate that changes nothing, can pass"""
    alpha: float | None = None
    margin: float | None = None
    effect: float | None = None
    """with 80% power: the smallest true fall that is found (``falls``), the largest true rise that passes
    (``non_inferior``, ``retained``); None where none is, or where it depends on the spread of the losses"""

    @property
    def can_pass(self) -> bool:
        """False where it never passes, whatever the candidate does."""
        return self.n is None or self.n >= self.needed


def gate_items(
    recipe: Recipe, held_out: int, held_out_benign: int, share: float | None = None
) -> dict[str, int]:
    """How many items the gate's own tests have, from the numbers of prompts of its part, of either kind.

    ``share``: of the recipe's limits; the gate's where it is not given.
    """
    section = recipe.evaluation
    part = 1 - section.test_share if share is None else share
    harm = _at_most(held_out, section.harm_limit, part)
    over_refusal = _at_most(held_out_benign, section.over_refusal_limit, part)
    return {"harm": harm, "over_refusal": over_refusal, "fluency": harm + over_refusal}


def _at_most(prompts: int, limit: int | None, share: float) -> int:
    return prompts if limit is None else min(prompts, max(1, round(limit * share)))


def gate_forecast(
    recipe: Recipe, items: Mapping[str, int], tasks: Sequence[tuple[str, int | None]] = ()
) -> tuple[GateForecast, ...]:
    """The tests that the gate will make; ``items``: ``gate_items``, ``tasks``: further ones with their n."""
    section = recipe.accept
    last = spent(section.alpha, recipe.stop.iterations)  # what the last candidate gets of alpha
    own = (("over_refusal", section.over_refusal_margin), ("fluency", section.fluency_margin))
    return (
        GateForecast(
            metric="harm",
            kind="falls",
            n=items["harm"],
            needed=needed_to_fall(last),
            alpha=last,
            effect=fall_seen(items["harm"], last),
        ),
        *(_rate(name, "non_inferior", items[name], margin) for name, margin in own),
        *(
            _task(name, n, section.capability_margin if name == "capability" else section.task_margin)
            for name, n in tasks
        ),
    )


def _rate(name: str, kind: GateKind, n: int | None, margin: float) -> GateForecast:
    return GateForecast(
        metric=name,
        kind=kind,
        n=n,
        needed=needed_to_hold(margin),
        margin=margin,
        effect=None if n is None else rise_passed(n, margin),
    )


def _task(name: str, n: int | None, margin: float) -> GateForecast:
    if not _by_losses(name):
        return _rate(name, "retained", n, margin)
    return GateForecast(metric=name, kind="retained", n=n, needed=needed_to_keep(margin), margin=margin)


def _by_losses(name: str) -> bool:
    """Whether the gate tests the mean loss of this metric, not a rate of items that are right or wrong."""
    return bool(metric(name).unit) or name.startswith(SHARES)


def gate_lines(tests: Sequence[Mapping[str, Any]], *, enabled: bool) -> list[str]:
    """The gate in the plan's words, a line for each test; ``tests``: ``GateForecast`` as plain data."""
    if not enabled:
        return ["  gate              off: every candidate is accepted (accept.enabled)"]
    told = [_told(test) for test in tests]
    told.append(f"(with {POWER:.0%} power, where {CHURN:.0%} of the answers change each way by chance)")
    return [f"  {'gate' if not i else '':16}  {line}" for i, line in enumerate(told)]


def _told(test: Mapping[str, Any]) -> str:
    n = "not known" if test["n"] is None else test["n"]
    about = metric(test["metric"])
    head = f"{safe(about.bad or about.label)}: n = {n}, needs {test['needed']}"
    if test["n"] is not None and test["n"] < test["needed"]:
        return f"{head}: can never pass"
    effect = test["effect"]
    if test["kind"] == "falls":
        return f"{head}; " + ("no fall is found" if effect is None else f"finds a fall of {_points(effect)}")
    if test["n"] is None or _by_losses(test["metric"]):
        return f"{head}; margin {test['margin']:g}"
    way = "rise" if about.bad or about.lower_is_better else "fall"
    passes = "not even no change passes" if effect is None else f"passes a {way} of up to {_points(effect)}"
    return f"{head}; margin {test['margin']:g}, {passes}"


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"


def never_passes(recipe: Recipe, tests: Sequence[GateForecast]) -> str | None:
    """Why no candidate could ever be accepted, with the remedies; None where one can, or the gate is off."""
    failing = [t for t in tests if not t.can_pass]
    if not failing or not recipe.accept.enabled:
        return None
    reasons = "; ".join(_remedies(recipe, t) for t in failing)
    return f"the gate can never accept a candidate: {reasons}; or keep every candidate (accept.enabled=false)"


def _remedies(recipe: Recipe, test: GateForecast) -> str:
    """What a test lacks, and the keys that give it more."""
    limits = recipe.evaluation
    harm = [f"red_team.held_out ({recipe.red_team.held_out:g})"]
    benign = [f"benign.held_out ({recipe.benign.held_out:g})"]
    if limits.harm_limit is not None:
        harm.append(f"evaluation.harm_limit ({limits.harm_limit})")
    if limits.over_refusal_limit is not None:
        benign.append(f"evaluation.over_refusal_limit ({limits.over_refusal_limit})")
    more = {"harm": harm, "over_refusal": benign, "fluency": harm + benign}.get(test.metric, [])
    level = f"alpha {test.alpha:g}" if test.margin is None else f"margin {test.margin:g}"
    if limits.test_share and test.metric in ("harm", "over_refusal", "fluency"):
        more = [*more, f"the gate's part of them (evaluation.test_share {limits.test_share:g}, lower)"]
    keys = f", raise {' or '.join(more)}" if more else ""
    return (
        f"{test.metric} has n = {test.n} and needs {test.needed} ({level}): "
        f"bring more held-out items{keys}{_wider(test)}"
    )


def _wider(test: GateForecast) -> str:
    if test.margin is None or test.n is None:
        return ""
    key = {
        "over_refusal": "over_refusal_margin",
        "fluency": "fluency_margin",
        "capability": "capability_margin",
    }.get(test.metric, "task_margin")
    enough = "" if _by_losses(test.metric) else f" to {margin_for(test.n):g}"
    return f", or raise accept.{key}{enough}"
