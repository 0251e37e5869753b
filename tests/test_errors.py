"""Exit codes: as documented, and one per thing that a script may want to tell apart."""

from __future__ import annotations

import re

import pytest

from iteralign import errors
from iteralign.errors import IterAlignError

CLASSES = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, IterAlignError)]
DOCUMENTED = dict(
    re.findall(r"^ +(\w+)(?: \(\w+\))? +(\d+)(?: |$)", errors.__doc__ or "", flags=re.MULTILINE)
)
IN_TREE = re.findall(r"^ {4,}([A-Z]\w+)", errors.__doc__ or "", flags=re.MULTILINE)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    assert {c.__name__ for c in CLASSES} == set(IN_TREE)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda c: c.__name__)
def test_an_exit_code_is_the_documented_one(kind: type[IterAlignError]) -> None:
    if kind.__name__ in DOCUMENTED:
        assert kind.exit_code == int(DOCUMENTED[kind.__name__])
    else:
        assert kind.exit_code == kind.__mro__[1].exit_code, (
            "an error that is not documented has its parent's code"
        )


def test_exit_codes_are_unique_and_fit_a_shell() -> None:
    own = [c.exit_code for c in CLASSES if "exit_code" in vars(c)]
    assert len(own) == len(set(own))
    assert all(0 < code < 256 for code in own)
    assert errors.Interrupted.exit_code == 130


@pytest.mark.parametrize("kind", [errors.RecipeError, errors.DataError])
def test_wrong_input_is_also_a_value_error(kind: type[IterAlignError]) -> None:
    with pytest.raises(ValueError, match="why"):
        raise kind("why")
