"""How far a figure can be trusted: the judge's agreement with people, harm corrected for its errors, and
whether the place of a reply decides rather than its content.

Plain data in and out. Knows nothing of the store or of printing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from iteralign.metrics import LEAST_CONSISTENT, ORDER_CONSISTENCY, metric
from iteralign.stats import Estimate, Judge, corrected

REMEDY = "iteralign oracle calibrate RUN --labels FILE"
RATES = ("sensitivity", "specificity")


def rate(estimate: Estimate) -> dict[str, Any]:
    """An estimate as reports hold it; nothing known has no rate."""
    return {
        "rate": estimate.value if estimate.n else None,
        "n": estimate.n,
        "low": estimate.low,
        "high": estimate.high,
    }


def harm_corrected(raw: Estimate, found: Mapping[str, Any]) -> dict[str, Any]:
    """``raw`` and ``corrected`` (Rogan and Gladen), None where that cannot be told, and ``why_not``.

    ``found``: a calibration.
    """
    counts = found["counts"]
    judge = Judge(
        counts["true positive"], counts["false negative"], counts["false positive"], counts["true negative"]
    )
    better = corrected(round(raw.value * raw.n), raw.n, judge)
    known = not isinstance(better, str)
    return {
        "raw": rate(raw),
        "corrected": rate(better) if isinstance(better, Estimate) else None,
        "why_not": None if known else better,
    }


def agreement(found: Mapping[str, Any] | None) -> dict[str, Any]:
    """The judge's agreement with people.

    ``measured``, ``told`` (one line), and where it was measured the figures.
    """
    if found is None:
        return {"measured": False, "told": f"agreement with people not measured: {REMEDY}"}
    figures = [f"{name} {_percent(found[name])}" for name in RATES]
    kappa = "not defined" if found["kappa"] is None else f"{found['kappa']:.2f}"
    against = f"{found['oracle']} against {found['n']} labels of people ({found['labels']})"
    told = f"{against}: kappa {kappa}, {', '.join(figures)}"
    return {
        "measured": True,
        "told": told,
        **{k: found[k] for k in ("oracle", "labels", "n", "kappa", *RATES)},
    }


def _percent(found: Mapping[str, Any]) -> str:
    if not found["n"]:
        return "- (n=0)"
    return f"{found['value']:.1%} [{100 * found['low']:.1f}, {100 * found['high']:.1f}] (n={found['n']})"


def doubt(name: str, consistency: float | None) -> str:
    """Why an evaluation's score says little, where both orders of the replies rarely agree; else empty.

    ``consistency``: the share of items that both orders decide alike.
    """
    if consistency is None or consistency >= LEAST_CONSISTENT:
        return ""
    remedy = "; hhh-likelihood needs no letters" if name == "hhh" else ""
    return (
        f"{metric(name).label}: both orders of the replies agree on {consistency:.1%} of the items only, so "
        f"that the place of a reply decides rather than its content: the score says little{remedy}"
    )


def doubts(scores: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """``doubt`` for each score that has its order consistency beside it."""
    found = (
        doubt(name.removesuffix(ORDER_CONSISTENCY), score["rate"] if score["n"] else None)
        for name, score in scores.items()
        if name.endswith(ORDER_CONSISTENCY)
    )
    return [text for text in found if text]
