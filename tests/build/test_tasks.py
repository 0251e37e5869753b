"""Whose columns ``evaluate --columns`` names."""

from __future__ import annotations

import pytest

from iteralign.build.tasks import columns_by_task
from iteralign.errors import DataError

GOAL = {"prompt": "goal"}


@pytest.mark.parametrize(
    ("given", "tasks", "data", "labelled", "wanted"),
    [
        ("prompt=goal", ["harm"], ["."], False, {"harm": GOAL}),
        ("prompt=goal", ["harm", "over-refusal"], [], False, {"harm": GOAL, "over-refusal": GOAL}),
        ("prompt=goal", ["hhh", "harm"], ["harm=p.csv"], False, {"harm": GOAL}),
        ("prompt=goal", ["hhh", "harm=p.csv"], [], True, {"harm": GOAL}),
        ("prompt=goal", ["harm"], [], True, {"labels": GOAL}),
        ("harm:prompt=goal", ["harm"], [], True, {"harm": GOAL}),
        ("labels:prompt=goal", ["harm"], [], True, {"labels": GOAL}),
    ],
)
def test_columns_are_for_what_is_read(
    given: str, tasks: list[str], data: list[str], labelled: bool, wanted: dict[str, dict[str, str]]
) -> None:
    assert columns_by_task([given], tasks, data, labelled=labelled) == wanted


def test_columns_of_nothing_that_is_read_are_an_error() -> None:
    with pytest.raises(DataError, match="no --labels FILE is given"):
        columns_by_task(["labels:label=gold"], ["harm"], [])
    with pytest.raises(DataError, match="Write --columns TASK:prompt=goal"):
        columns_by_task(["prompt=goal"], ["lm-eval:arc_easy"], [])


@pytest.mark.parametrize(
    ("columns", "data", "message"),
    [
        (["hram:prompt=ask"], [], "'hram' is no task. Did you mean 'harm'"),
        (["lables:label=x"], [], "'lables' is no task. Did you mean 'labels'"),
        (["prompt=ask"], ["hram=rows.csv"], "Did you mean harm=rows.csv"),
    ],
)
def test_misspelt_prefixes_are_guessed(columns: list[str], data: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        columns_by_task(columns, ["harm"], data)
