"""A run's scores as figure and tables: values with intervals, and no name that gets out of its place."""

from __future__ import annotations

import xml.dom.minidom
from io import StringIO

from iteralign.report import tables
from iteralign.report.console import console
from iteralign.report.figure import PUBLISHED, latex, markdown, svg


def score(rate: float, n: int = 100) -> dict[str, object]:
    return {"rate": rate, "low": max(0.0, rate - 0.05), "high": min(1.0, rate + 0.05), "n": n}


def loss(rate: float) -> dict[str, object]:
    return {"rate": rate, "low": rate - 0.1, "high": rate + 0.1, "n": 50}


ROWS = [
    {"label": "base", "scores": {"harm": score(0.7), "over_refusal": score(0.02), "capability": loss(1.4)}},
    {
        "label": "iteration 1",
        "scores": {"harm": score(0.2), "over_refusal": score(0.03), "capability": loss(1.5)},
    },
]
CHANGE = {
    "metric": "harm",
    "before": 0.7,
    "after": 0.2,
    "n": 100,
    "difference": -0.5,
    "low": -0.6,
    "high": -0.4,
    "p_value": 1e-9,
    "p_holm": 2e-9,
}


def test_the_figure_has_a_point_with_its_interval_for_each_rate_of_each_iteration() -> None:
    page = xml.dom.minidom.parseString(svg(ROWS, "a run"))
    points = page.getElementsByTagName("circle")
    assert len(points) == 4, "two rates over two rows; a loss has no place on the axis of rates"
    heights = [float(c.getAttribute("cy")) for c in points]
    assert heights[0] < heights[1], "harm falls from base to iteration 1, and the axis points upward"
    assert "0.700 [0.650, 0.750] n=100" in points[0].toxml()


def test_the_judges_agreement_stands_below_and_a_correction_that_cannot_be_told_says_why() -> None:
    none = {
        "rate": None,
        "low": 0.0,
        "high": 1.0,
        "n": 100,
        "why_not": "too few labels (1 improper, 2 proper) to know the oracle's errors",
    }
    rows = [{"label": r["label"], "scores": {"harm": score(0.5), "harm_corrected": none}} for r in ROWS]
    page = markdown(rows, "t", judge="me<b> against 3 labels")
    table = latex(rows, "t", "me_ against 3 labels")
    assert "Judge of harm: me\\<b\\> against 3 labels." in page
    assert "Harm (corrected) cannot be told: too few labels" in page
    assert "| base | 0.500 [0.450, 0.550] n=100 | - |" in page
    assert "\\multicolumn{3}{l}{\\footnotesize Judge of harm: me\\_ against 3 labels.}" in table
    assert "too few labels" in table
    assert "me&lt;b&gt;" in svg(rows, "t", "me<b>")
    assert "harm (corrected)" not in svg(rows, "t"), "what has no rate has no line"


def test_hostile_names_stay_text() -> None:
    rows = [{"label": "<script>|$&", "scores": {"x</text><script>_%": score(0.5)}}]
    xml.dom.minidom.parseString(svg(rows, "</svg><script>alert(1)</script>"))
    assert "<script>" not in svg(rows, "</svg><script>alert(1)</script>")
    assert "\\<script\\>\\|$&" in markdown(rows, "t")
    assert "x</text><script>\\_\\%" in latex(rows, "a_b")
    assert "\x1b" not in markdown([{"label": "\x1b[31m", "scores": {}}], "t")


def test_the_tables_tell_value_interval_n_and_corrected_p() -> None:
    text = markdown(ROWS, "a run", [CHANGE])
    assert "| base | 0.700 [0.650, 0.750] n=100 |" in text
    assert "| harm (oracle) | -50.0 | [-60.0, -40.0] | 100 | 1e-09 | 2e-09 |" in text
    assert "Published" not in text
    assert all(f"{m} | {what}" in markdown(ROWS, "paper", published=True) for m, what, *_ in PUBLISHED)
    table = latex(ROWS, "a run")
    assert table.count("\\\\") == 3
    assert "base & 0.700 [0.650, 0.750] n=100 &" in table


def test_what_has_a_unit_stands_in_the_tables_with_it_and_not_on_the_axis_of_percents() -> None:
    small = {"rate": 0.36, "low": 0.33, "high": 0.39, "n": 200, "unit": "nats per token"}
    rows = [{"label": r["label"], "scores": {"harm": score(0.5), "capability": small}} for r in ROWS]
    change = {
        **CHANGE,
        "metric": "capability",
        "difference": 0.02,
        "low": 0.01,
        "high": 0.03,
        "unit": "nats per token",
    }
    assert "capability" not in svg(rows, "t")
    page = markdown(rows, "t", [change])
    assert "| | harm (oracle) | capability, nats per token |" in page
    assert "| capability | +0.020 nats per token | [+0.010, +0.030] | 100 |" in page
    assert "& capability, nats per token \\\\" in latex(rows, "t")


def test_the_order_consistency_stands_beside_the_score_and_below_a_half_it_is_warned_of() -> None:
    def rows(consistency: float) -> list[dict[str, object]]:
        return [{"label": "base", "scores": {"hhh": score(0.5), "hhh/order_consistency": score(consistency)}}]

    page = StringIO()
    tables.print_scores(console(page), rows(0.1), {"told": "nobody"})
    shown = [markdown(rows(0.1), "t"), latex(rows(0.1), "t"), " ".join(page.getvalue().split())]
    for text in shown:
        assert "HHH order consistency" in text
        assert "the place of a reply decides" in text
        assert "hhh-likelihood" in text
    assert "HHH order consistency (n=100)" in svg(rows(0.1), "t")
    assert "Warning" not in markdown(rows(0.5), "t") + latex(rows(0.5), "t")


def test_the_end_of_a_run_gives_the_order_consistency_of_both_ends() -> None:
    page = StringIO()
    ends = [{"hhh": score(r), "hhh/order_consistency": score(c)} for r, c in ((0.5, 0.0), (0.6, 0.7))]
    tables.print_order(console(page), *ends)
    text = " ".join(page.getvalue().split())
    assert "HHH order consistency: base 0.0% [0.0, 5.0], final 70.0% [65.0, 75.0] (n=100)." in text
    assert text.count("Warning") == 1
