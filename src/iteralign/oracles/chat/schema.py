"""The JSON schema that a server holds a reply to, made from the reply's pydantic model.

Says no more than what every server with structured replies takes. What a model demands beyond that is checked
when the reply is read. Knows no reply by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel


def reply_schema(
    shape: type[BaseModel], *, first: Sequence[str] = (), choices: Mapping[str, Sequence[str]] | None = None
) -> dict[str, Any]:
    """The schema of a reply of this shape, with the request's ``mark`` in front.

    Servers write the keys in this order: those named ``first``, then the rest as the model declares them.
    ``choices``: list field -> the words that may stand in it, where they are known only at run time.
    """
    made = shape.model_json_schema()
    found = _object(made, made.get("$defs", {}))
    fields: dict[str, Any] = found["properties"]
    for name, words in (choices or {}).items():
        fields[name]["items"]["enum"] = list(words)
    ordered = {name: fields[name] for name in (*first, *(n for n in fields if n not in first))}
    properties = {"mark": {"type": "string"}, **ordered}
    return {
        "title": shape.__name__,
        **found,
        "properties": properties,
        "required": list(properties),
    }


def _object(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Strict servers want every key required and no other; a default is for those that are not strict."""
    properties = {name: _plain(value, definitions) for name, value in schema["properties"].items()}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _plain(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Types and enums alone: references resolved, titles, defaults, lengths and null left out."""
    if "$ref" in schema:
        return _plain(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:  # ``T | None``: a key that is always there needs no null
        (only,) = [option for option in schema["anyOf"] if option.get("type") != "null"]
        return _plain(only, definitions)
    kind = schema["type"]
    if kind == "object":
        return _object(schema, definitions)
    if kind == "array":
        return {"type": kind, "items": _plain(schema["items"], definitions)}
    if "enum" in schema:
        return {"type": kind, "enum": list(schema["enum"])}
    if kind == "integer" and {"minimum", "maximum"} <= schema.keys():
        # servers take an enum where some do not take bounds
        return {"type": kind, "enum": list(range(schema["minimum"], schema["maximum"] + 1))}
    return {"type": kind}
