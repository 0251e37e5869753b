"""Reads a recipe's YAML into plain data and remembers where each key stands; reads ``a.b=c`` overrides.

Scalars are YAML 1.2's: ``2e-6`` is a number, ``yes``, ``on`` and ``2026-01-01`` are text, so that nothing
turns into another type by surprise. A key that is given twice is an error. Knows no recipe model: which keys
and values make sense is not its affair.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import yaml

from iteralign.errors import RecipeError
from iteralign.foreign.errors import Unreadable, short
from iteralign.foreign.secrets import masked
from iteralign.foreign.yaml import Loader, readable

_SCALARS: tuple[tuple[str, str, str], ...] = (
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("tag:yaml.org,2002:int", r"[-+]?[0-9]+", "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+0123456789.",
    ),
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", "~nN"),
)


_LONGEST = 80
"""Characters of an override that messages repeat."""


class _Loader(Loader):
    """The safe loader with YAML 1.2's core scalars instead of YAML 1.1's."""

    # PyYAML keeps one table per class
    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}  # type: ignore[misc]


_Loader.add_constructor(
    "tag:yaml.org,2002:int", lambda loader, node: int(node.value)
)  # YAML 1.1 would read 010 as 8
for _tag, _pattern, _first in _SCALARS:
    _Loader.add_implicit_resolver(
        _tag, re.compile(rf"^(?:{_pattern})$"), [*_first, *([""] if _tag.endswith("null") else [])]
    )


@dataclass(frozen=True, slots=True)
class Override:
    """One value given outside the file: a dotted key, its value, and how the user wrote it (``--seed 3``)."""

    key: str
    value: Any
    place: str


@dataclass(slots=True)
class Draft:
    """A recipe's plain data, where each dotted key stands, and what is wrong with it already."""

    data: dict[str, Any] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def place(self, path: Sequence[str]) -> str | None:
        """Where a key was given, or else a key below it, or else the section around it."""
        below = [at for key, at in self.places.items() if key.startswith(f"{'.'.join(path)}.")]
        around = [self.places.get(".".join(path[:length])) for length in range(len(path), 0, -1)]
        return (around or [None])[0] or next(iter([*reversed(below), *filter(None, around)]), None)


def read(text: str, where: str) -> Draft:
    """Return the draft of a YAML text; ``where`` names it in messages.

    Raises ``RecipeError`` where it is not a YAML mapping.
    """
    draft = Draft()
    try:
        with readable(text):
            loader = _Loader(text)
            node = loader.get_single_node()
            if isinstance(node, yaml.MappingNode):
                draft.data = _mapping(loader, node, where, (), draft)
    except Unreadable as error:
        raise RecipeError(f"{where}{error.at}: {masked(str(error))}") from error
    if node is not None and not isinstance(node, yaml.MappingNode):
        raise RecipeError(
            f"{where}, line {node.start_mark.line + 1}: sections and keys are expected (`seed: 0`), "
            f"found {_kind(node)}"
        )
    return draft


def override(text: str) -> Override:
    """Return ``section.key=value`` as an override; the value is a YAML scalar, or a mapping in braces.

    Raises ``RecipeError`` for another form.
    """
    key, sign, value = text.partition("=")
    key = key.strip()
    said = masked(text)  # a key may have been pasted
    place = f"--set {said if len(said) <= _LONGEST else said[:_LONGEST] + '...'}"
    if not sign or not key or not all(key.split(".")):
        raise RecipeError(f"{place}: section.key=value is expected, for example --set stop.iterations=5")
    return Override(key, _scalar(value.strip(), place), place)


def lay_over(draft: Draft, overrides: Sequence[Override]) -> None:
    """Put the overrides into the draft, the last one of a key wins."""
    for given in overrides:
        *sections, last = given.key.split(".")
        inner = draft.data
        for depth, name in enumerate(sections, start=1):
            if inner.get(name) is None:
                inner[name] = {}
            if not isinstance(inner[name], dict):
                draft.problems.append(
                    f"{given.key} ({given.place}): {'.'.join(sections[:depth])} has a value of its own, so "
                    "it has no keys"
                )
                break
            inner = inner[name]
        else:
            inner[last] = given.value
            draft.places = {p: at for p, at in draft.places.items() if not p.startswith(f"{given.key}.")} | {
                given.key: given.place
            }


def dump(data: Mapping[str, Any]) -> str:
    """YAML that ``read`` gives back as the same data, keys in their order."""
    text: str = yaml.dump(dict(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text


def _mapping(
    loader: _Loader, node: yaml.MappingNode, where: str, path: tuple[str, ...], draft: Draft
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else f"({_kind(key_node)})"
        here = (*path, key)
        dotted = ".".join(here)
        line = key_node.start_mark.line + 1
        if key in found:
            draft.problems.append(
                f"{short(dotted)} ({where}, line {line}): given twice, first in "
                f"{draft.places[dotted].removeprefix(f'{where}, ')}; keep one"
            )
            continue
        draft.places[dotted] = f"{where}, line {line}"
        if isinstance(value_node, yaml.MappingNode):
            found[key] = _mapping(loader, value_node, where, here, draft)
        else:
            found[key] = loader.construct_object(value_node, deep=True)
    return found


def _scalar(value: str, place: str) -> Any:
    if value[:1] in {'"', "'"}:
        try:
            with readable(value):
                return yaml.load(value, Loader=_Loader)  # a SafeLoader
        except Unreadable as error:
            raise RecipeError(f"{place}: the quoted value does not end with its quote") from error
    if value[:1] == "{":
        return read(value, place).data
    if value[:1] == "[":
        return read(f"list: {value}", place).data["list"]
    loader = _Loader("")
    tag = loader.resolve(yaml.ScalarNode, value, (True, False))  # type: ignore[no-untyped-call]
    try:
        with readable(value):
            return loader.construct_object(yaml.ScalarNode(tag, value))
    except Unreadable as error:
        raise RecipeError(f"{place}: {masked(str(error))}") from error


def _kind(node: yaml.Node) -> str:
    return (
        "a list"
        if isinstance(node, yaml.SequenceNode)
        else "a section"
        if isinstance(node, yaml.MappingNode)
        else "a single value"
    )


class _Dumper(yaml.SafeDumper):
    """Quotes what either YAML would read as something else than text."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        first: [
            *yaml.SafeDumper.yaml_implicit_resolvers.get(first, []),
            *_Loader.yaml_implicit_resolvers.get(first, []),
        ]
        for first in {*yaml.SafeDumper.yaml_implicit_resolvers, *_Loader.yaml_implicit_resolvers}
    }


def _quoted(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"'
    )  # line breaks of any kind survive


_Dumper.add_representer(str, _quoted)
