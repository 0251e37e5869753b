"""An oracle's agreement with known labels as lines for a terminal. Knows the figures, not the oracle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from iteralign.text.printable import count_of


def summary_lines(result: Mapping[str, Any]) -> list[str]:
    """A result of ``check`` in words, one figure a line."""
    lines = [
        f"oracle {result['oracle']}: {count_of(result['n'], 'labelled answer')}, "
        f"{result['positive']} of them {result['label']}"
    ]
    if result.get("sample"):
        lines.append(f"sample       {result['sample']}")
    for name in ("accuracy", "sensitivity", "specificity", "unjudged"):
        rate = result[name]
        lines.append(f"{name:12} {_told(rate)}")
    lines.append(
        f"{'kappa':12} {result['kappa']:.3f}" if result["kappa"] is not None else f"{'kappa':12} not defined"
    )
    for category, part in result["by_category"].items():
        rate = part["accuracy"]
        lines.append(f"  {category:16} accuracy {_told(rate)}")
    return lines


def _told(rate: Mapping[str, Any]) -> str:
    return (
        f"{rate['value']:.3f}  [{rate['low']:.3f}, {rate['high']:.3f}]  n = {rate['n']}"
        if rate["n"]
        else "-  n = 0"
    )
