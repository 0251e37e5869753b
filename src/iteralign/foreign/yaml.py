"""YAML that others wrote, with limits on values, depth and digits. Knows no file and no field.

PyYAML's safe loader runs no code, but it expands aliases without limit, and what it makes of an impossible
date or number ends in any error at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from iteralign.foreign.errors import DEPTH, DIGITS, Unreadable, short

VALUES = 50_000
"""Of a text, at most; what an alias repeats counts each time."""
_TOO_MANY = f"more than {VALUES:,} values"
_NUMBERS = frozenset({"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"})


class _Beyond(yaml.constructor.ConstructorError):
    """YAML that is well formed, and holds what is not taken; the mark says where."""


class Loader(yaml.SafeLoader):
    """The safe loader with limits; whatever is wrong with a value is an error that knows its line."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._count = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """As PyYAML's, within the limits: an alias counts as much as what it stands for."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        mark = event.start_mark
        alias = isinstance(event, yaml.AliasEvent)
        before = self._count
        self._depth += 1
        if self._depth > DEPTH:
            raise _limit(f"nested more than {DEPTH} deep", mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if alias:
            if id(node) not in self._sizes:
                raise _limit(f"{short(event.anchor)[:60]!r} stands inside itself", mark)
            self._count += self._sizes[id(node)]
        else:
            self._count += 1
            self._sizes[id(node)] = self._count - before
        if self._count > VALUES:
            raise _limit(_TOO_MANY, mark)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """As PyYAML's, but what cannot be read as its tag is a ``ConstructorError`` with its line."""
        tag = node.tag.removeprefix("tag:yaml.org,2002:")[:60]
        if node.tag in _NUMBERS and isinstance(node, yaml.ScalarNode) and len(node.value) > DIGITS:
            raise _limit(f"a number of {len(node.value)} digits", node.start_mark)
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
            value = f"{str(node.value)[:60]!r}" if isinstance(node, yaml.ScalarNode) else "this"
            raise _limit(f"{value} cannot be read as {tag}", node.start_mark) from error


def parse(text: str) -> tuple[Any, yaml.Node | None]:
    """The value of a YAML text, and its nodes, which know their lines. Raises ``Unreadable``."""
    with readable(text):
        loader = Loader(text)
        node = loader.get_single_node()
        return None if node is None else loader.construct_document(node), node


def compose(text: str) -> yaml.Node | None:
    """The nodes of a YAML text, without values. Raises ``Unreadable``."""
    with readable(text):
        return Loader(text).get_single_node()


@contextmanager
def readable(text: str) -> Iterator[None]:
    """Turns what PyYAML says about a text into ``Unreadable``."""
    try:
        yield
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        what = "" if isinstance(error, _Beyond) else "not YAML: "
        raise Unreadable(f"{what}{error.problem or error.context}", line) from error
    except yaml.reader.ReaderError as error:
        shown = ascii(chr(error.character)) if isinstance(error.character, int) else "it"
        line = text.count("\n", 0, error.position) + 1
        raise Unreadable(f"a control character ({shown}) is not allowed in YAML: delete it", line) from error
    except RecursionError as error:
        raise Unreadable(f"nested more than {DEPTH} deep") from error
    except (yaml.YAMLError, ValueError, LookupError) as error:
        raise Unreadable(f"not YAML: {error or type(error).__name__}") from error


def _limit(message: str, mark: yaml.Mark | None) -> _Beyond:
    return _Beyond(None, None, message, mark)
