"""The table of metrics: what one change of it would change for a user."""

from __future__ import annotations

import pytest

from iteralign.metrics import METRICS, TASK_MARGIN, default_margin, metric
from iteralign.recipe.sections import AcceptSection


def test_an_unknown_metric_is_a_rate_under_its_own_name_that_should_rise() -> None:
    found = metric("lm-eval:arc_easy")
    assert (found.label, found.heading, found.unit) == ("lm-eval:arc_easy", "lm-eval:arc_easy", "")
    assert not found.lower_is_better
    assert found.margin == TASK_MARGIN == AcceptSection().task_margin


def test_a_metric_that_is_not_a_rate_is_headed_with_its_unit() -> None:
    assert metric("capability").heading == "capability, nats per token"
    assert metric("answer_words").heading == "answer length, words"


def test_a_recipe_without_margins_takes_those_of_the_table() -> None:
    section = AcceptSection()
    for name in ("over_refusal", "fluency", "capability"):
        assert getattr(section, f"{name}_margin") == default_margin(name)
    with pytest.raises(ValueError, match="harm"):
        default_margin("harm")


def test_no_two_metrics_look_alike() -> None:
    assert len({m.label for m in METRICS.values()}) == len(METRICS)
