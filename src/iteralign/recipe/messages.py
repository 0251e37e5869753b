"""Says what is wrong with a recipe: the key, its value, where it stands, what is allowed.

Names the key that was meant, where one is near. Works on any tree of pydantic sections; it
knows none of its own.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator, Sequence
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from iteralign.foreign.errors import short
from iteralign.foreign.secrets import masked
from iteralign.recipe.yaml import Draft


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every dotted key of a recipe with its field, sections left out."""
    for name, field in model.model_fields.items():
        inner = section_of(field)
        if inner is not None:
            yield from keys(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


def allowed(field: FieldInfo) -> str:
    """What a field takes, in words: ``a whole number >= 1, or null``."""
    kinds = (
        [field.annotation]
        if get_origin(field.annotation) not in {Union, types.UnionType}
        else list(get_args(field.annotation))
    )
    bounds = " and ".join(
        f"{sign} {_number(getattr(m, name))}"
        for m in field.metadata
        for name, sign in (("ge", ">="), ("gt", ">"), ("lt", "<"), ("le", "<="))
        if hasattr(m, name)
    )
    words = []
    for kind in kinds:
        if get_origin(kind) is Literal:
            # as YAML spells them
            values = [str(v).lower() if isinstance(v, bool) else v for v in get_args(kind)]
            words.append(
                " or ".join(f"`{v}`" for v in values)
                if len(values) < 3
                else f"one of {', '.join(f'`{v}`' for v in values)}"
            )
        elif get_origin(kind) is dict:
            inner = get_args(kind)[1]
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                told = ", ".join(f"`{name}` ({allowed(f)})" for name, f in inner.model_fields.items())
                words.append(f"names with {told} each")
            elif get_origin(inner) in {Union, types.UnionType}:
                words.append("names with a number, a switch or a word each")
            else:
                words.append("names with text each" if inner is str else "names with names with text each")
        elif get_origin(kind) is list:
            inner_kind = get_args(kind)[0]
            named_words = get_args(inner_kind) if get_origin(inner_kind) is Literal else ()
            listed = " and ".join(f"`{v}`" for v in named_words)
            words.append(f"a list of {listed}" if listed else "a list of texts")
        elif kind in {int, float}:
            words.append(f"{'a whole number' if kind is int else 'a number'} {bounds}".strip())
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            words.append(f"a section of {', '.join(f'`{name}`' for name in kind.model_fields)}")
        else:
            named = {bool: "`true` or `false`", str: "text", types.NoneType: "`null`"}
            words.append(named[kind])  # type: ignore[index]
    return ", or ".join(words)


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


def explain(model: type[BaseModel], error: Any, draft: Draft, where: str) -> str:
    """One of pydantic's errors about a draft, in our words, on one line, without what looks like a key."""
    return masked(_explained(model, error, draft, where))


def _explained(model: type[BaseModel], error: Any, draft: Draft, where: str) -> str:
    path = [str(part) for part in error["loc"]]
    key = short(".".join(path))
    place = draft.place(path) or where
    if error["type"] == "extra_forbidden":
        shown = place.partition("=")[0]  # its value may be a secret
        return f"{key} ({shown}): no such key.{_nearest(model, path)}"
    if error["type"] == "value_error":
        text = str(error["ctx"]["error"])  # it opens with the key that it is about
        return f"{text} ({draft.place(text.split(' ')[0].split('.')) or where})"
    value = repr(error["input"])
    if path[-1] == "api_key_env":  # somebody may have pasted the key itself
        value = "***"
        place = place.partition("=")[0]
    start = f"{key} = {value if len(value) <= 80 else value[:77] + '...'} ({place}): "
    known = dict(keys(model))
    field = known.get(key) or next(
        (known[k] for k in (".".join(path[:n]) for n in range(len(path), 0, -1)) if k in known), None
    )
    if field is None:
        return (
            f"{start}it is a section; set one of its keys: "
            f"{', '.join(k for k, _ in keys(model) if k.startswith(f'{key}.'))}"
        )
    if error["type"] == "string_pattern_mismatch" and path[-1] == "api_key_env":
        return (
            f"{start}it must be the name of an environment variable (letters, digits, _), and the key "
            "stands in that variable"
        )
    if error["type"] == "string_pattern_mismatch":
        return f"{start}{field.description}"
    if error["type"] == "string_too_short":
        return f"{start}it must not be empty"
    text = f"{start}it must be {allowed(field)}"
    if isinstance(error["input"], str):
        if error["type"] == "bool_type":
            return f"{text} (yes, no, on and off are text)"
        near = difflib.get_close_matches(error["input"].lower(), [str(v) for v in _choices(field)], 1)
        return f"{text}. Did you mean {near[0]!r}?" if near else text
    return text


def _nearest(model: type[BaseModel], path: Sequence[str]) -> str:
    known = [k for k, _ in keys(model)]
    sections = sorted({k.rpartition(".")[0] for k in known} - {""})
    key = ".".join(path)
    leaf = path[-1]
    same_leaf = [k for k in known if k.rpartition(".")[2] == leaf]
    if same_leaf and len(path) == 1:
        return f" Did you mean {' or '.join(repr(k) for k in same_leaf[:3])}?"
    home = ".".join(path[:-1])
    siblings = [k for k in [*known, *sections] if k.rpartition(".")[0] == home]
    for candidates, cutoff in ((siblings, 0.6), ([*known, *sections], 0.6)):
        near = difflib.get_close_matches(key, candidates, 1, cutoff=cutoff)
        if near:
            return f" Did you mean {near[0]!r}?"
    return f" Known here: {', '.join(siblings)}"


def _choices(field: FieldInfo) -> list[Any]:
    kinds = [field.annotation, *get_args(field.annotation)]
    return [v for kind in kinds if get_origin(kind) is Literal for v in get_args(kind)]


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """The section that a field holds, or None where it holds a value."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
