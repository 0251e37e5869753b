"""The public names are a promise: adding one is a decision, losing one breaks users."""

from __future__ import annotations

import pytest

import iteralign


def test_the_public_names() -> None:
    assert sorted(iteralign.__all__) == [
        "Recipe",
        "SelfAlignRecipe",
        "__version__",
        "align",
        "evaluate",
        "load_run",
        "self_align",
    ]


def test_each_public_name_is_there() -> None:
    for name in iteralign.__all__:
        assert getattr(iteralign, name) is not None


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(AttributeError, match="public names: Recipe"):
        iteralign.alignn  # noqa: B018
