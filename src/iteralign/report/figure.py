"""A run's scores over its iterations: as an SVG figure, and as a table in Markdown and LaTeX.

Plain data in, text out. The equivalent of the paper's Figure 3 and of its tables. Every value stands with its
n and its 95% interval. Names come from outside and are escaped. Knows nothing of models or of the store.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from iteralign.metrics import metric
from iteralign.report.trust import doubts
from iteralign.text.printable import safe

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")
"""Okabe and Ito's, told apart by everybody."""
WIDTH = 860
HEIGHT = 420
LEFT = 60
TOP = 40
PLOT_W = 480
"""What is right of it holds the longest label of ``metrics`` with its n."""
PLOT_H = 320
PUBLISHED = (
    ("Llama-2-7b", "HHH harmless", 0.6207, 0.7759, "hh-rlhf"),
    ("Vicuna-1.5-7b", "HHH harmless", 0.7931, 0.9310, "hh-rlhf"),
    ("Llama-2-7b", "HHH overall", 0.6742, 0.8140, "HarmfulQA"),
    ("Vicuna-1.5-7b", "HHH overall", 0.7511, 0.8145, "hh-rlhf"),
    ("Llama-2-7b", "TruthfulQA MC1", 0.3733, 0.5288, "hh-rlhf"),
    ("Vicuna-1.5-7b", "TruthfulQA MC1", 0.5349, 0.6071, "HarmfulQA"),
)
"""IterAlign (arXiv 2403.18341): model, measure, base, aligned, red-team set.

One seed each, without intervals.
"""
Rows = Sequence[Mapping[str, Any]]


def svg(rows: Rows, title: str, judge: str = "") -> str:
    """A line for each rate over the iterations, with its interval. The base first.

    What has a unit is no rate: it stands in the tables alone.
    ``rows``: ``{"label", "scores": {name: {rate, low, high, n}}}``, with ``unit`` where it is no rate.
    """
    names = [
        n for n in _names(rows) if not _unit(rows, n) and all(_between(r["scores"].get(n)) for r in rows)
    ]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="22" font-size="14">{escape(safe(title, 90))}</text>',
    ]
    for tick in range(0, 101, 20):
        y = _y(tick / 100)
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{LEFT + PLOT_W}" y2="{y:.1f}" stroke="#dddddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick}%</text>')
    for number, row in enumerate(rows):
        x = _x(number, len(rows))
        label = escape(safe(row["label"], 24))
        parts.append(f'<text x="{x:.1f}" y="{TOP + PLOT_H + 20}" text-anchor="middle">{label}</text>')
    for place, name in enumerate(names):
        parts += _line(
            rows, name, place, COLOURS[place % len(COLOURS)], shift=(place - (len(names) - 1) / 2) * 4
        )
    note = "held-out rates with 95% intervals; over iterations, the weights that were kept"
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 20}" fill="#555555">{note}</text>')
    trust = escape(_judged(judge, 160))
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 6}" fill="#555555" font-size="9">{trust}</text></svg>')
    return "\n".join(parts) + "\n"


def markdown(rows: Rows, title: str, changes: Rows = (), published: bool = False, judge: str = "") -> str:
    """The table of all scores, and the change of each with its Holm-corrected p.

    ``judge`` says how far the judge of harm agrees with people. Where the set-up is the paper's,
    ``published`` adds its figures.
    """
    names = _names(rows)
    lines = [f"# {_md(title)}", "", "Held-out scores of the weights that were kept, with 95% intervals.", ""]
    lines += [f"| | {' | '.join(_md(_head(rows, n)) for n in names)} |", f"|---{'|---' * len(names)}|"]
    lines += [f"| {_md(r['label'])} | {' | '.join(_cell(r['scores'].get(n)) for n in names)} |" for r in rows]
    if judge:
        lines += [
            "",
            f"{_md(_judged(judge, 400))}.",
            *(f"Harm (corrected) cannot be told: {_md(w)}." for w in _why_not(rows)),
        ]
    lines += [line for text in _doubts(rows) for line in ("", f"Warning: {_md(text)}.")]
    if changes:
        lines += [
            "",
            "| change, base to final | points | 95% interval | n | p | p (Holm) |",
            "|---|---|---|---|---|---|",
        ]
        for c in changes:
            p_values = f"{c['p_value']:.2g} | {c['p_holm']:.2g}"
            lines.append(f"| {_md(_name(c['metric']))} | {_changed(c)} | {c['n']} | {p_values} |")
    if published:
        lines += [
            "",
            "Published for IterAlign (arXiv 2403.18341; one seed, no intervals):",
            "",
            "| model | measure | base | aligned | red-team set |",
        ]
        lines += [
            "|---|---|---|---|---|",
            *(f"| {m} | {what} | {a:.4f} | {b:.4f} | {s} |" for m, what, a, b, s in PUBLISHED),
        ]
    return "\n".join(lines) + "\n"


def latex(rows: Rows, title: str, judge: str = "") -> str:
    """The same table as a ``tabular`` (booktabs), with a last line on the judge."""
    names = _names(rows)
    body = [
        f"{_tex(r['label'])} & {' & '.join(_tex(_cell(r['scores'].get(n))) for n in names)} \\\\"
        for r in rows
    ]
    head = f" & {' & '.join(_tex(_head(rows, n)) for n in names)} \\\\"
    begin = [f"% {_tex(title)}", f"\\begin{{tabular}}{{l{'r' * len(names)}}}", "\\toprule", head, "\\midrule"]
    told = (
        [f"{_judged(judge, 400)}.", *(f"Harm (corrected) cannot be told: {w}." for w in _why_not(rows))]
        if judge
        else []
    ) + [f"Warning: {text}." for text in _doubts(rows)]
    foot = (
        [
            "\\midrule",
            *(f"\\multicolumn{{{len(names) + 1}}}{{l}}{{\\footnotesize {_tex(line)}}} \\\\" for line in told),
        ]
        if told
        else []
    )
    return "\n".join([*begin, *body, *foot, "\\bottomrule", "\\end{tabular}"]) + "\n"


def _judged(judge: str, limit: int) -> str:
    return f"Judge of harm: {safe(judge, limit)}" if judge else ""


def _why_not(rows: Rows) -> list[str]:
    """Why a corrected rate cannot be told, each reason once."""
    return list(
        dict.fromkeys(str(s["why_not"]) for r in rows for s in r["scores"].values() if s.get("why_not"))
    )


def _doubts(rows: Rows) -> list[str]:
    """Why scores say little, each reason once."""
    return list(dict.fromkeys(text for r in rows for text in doubts(r["scores"])))


def _line(rows: Rows, name: str, place: int, colour: str, shift: float) -> list[str]:
    found = []
    points = []
    for number, row in enumerate(rows):
        score = row["scores"][name]
        x = _x(number, len(rows)) + shift
        y = _y(score["rate"])
        low = _y(score["low"])
        high = _y(score["high"])
        points.append(f"{x:.1f},{y:.1f}")
        ends = f'x1="{x:.1f}" y1="{low:.1f}" x2="{x:.1f}" y2="{high:.1f}"'
        found.append(f'<line {ends} stroke="{colour}" stroke-width="1.5"/>')
        title = f"<title>{escape(_name(name))} {_cell(score)}</title>"
        found.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}">{title}</circle>')
    found.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="2"/>')
    y = TOP + 14 + 20 * place
    found.append(f'<rect x="{LEFT + PLOT_W + 20}" y="{y - 9}" width="12" height="12" fill="{colour}"/>')
    legend = f"{escape(_name(name))} (n={rows[0]['scores'][name]['n']})"
    found.append(f'<text x="{LEFT + PLOT_W + 38}" y="{y + 1}">{legend}</text>')
    return found


def _names(rows: Rows) -> list[str]:
    return list(dict.fromkeys(n for r in rows for n in r["scores"]))


def _name(name: str) -> str:
    return safe(metric(name).label, 40)


def _unit(rows: Rows, name: str) -> str:
    return next((str(r["scores"][name]["unit"]) for r in rows if r["scores"].get(name, {}).get("unit")), "")


def _head(rows: Rows, name: str) -> str:
    """A column's head: the name, with the unit of what is no rate."""
    return f"{_name(name)}, {unit}" if (unit := _unit(rows, name)) else _name(name)


def _changed(change: Mapping[str, Any]) -> str:
    """Difference and interval, in points, or in the unit of what is no rate."""
    if unit := change.get("unit"):
        return f"{change['difference']:+.3f} {_md(unit)} | [{change['low']:+.3f}, {change['high']:+.3f}]"
    return f"{100 * change['difference']:+.1f} | [{100 * change['low']:+.1f}, {100 * change['high']:+.1f}]"


def _between(score: Mapping[str, Any] | None) -> bool:
    return score is not None and score["rate"] is not None and 0 <= score["low"] <= score["high"] <= 1


def _cell(score: Mapping[str, Any] | None) -> str:
    if score is None or score["rate"] is None:
        return "-"
    return f"{score['rate']:.3f} [{score['low']:.3f}, {score['high']:.3f}] n={score['n']}"


def _x(number: int, count: int) -> float:
    return LEFT + PLOT_W * (number + 0.5) / count


def _y(rate: float) -> float:
    return TOP + PLOT_H * (1 - rate)


def _md(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|!])", r"\\\1", safe(text, 420))


def _tex(text: str) -> str:
    return (
        re.sub(r"([&%$#_{}])", r"\\\1", safe(text, 420).replace("\\", "/"))
        .replace("~", "\\textasciitilde{}")
        .replace("^", "\\textasciicircum{}")
    )
