"""Constitutions as files: Markdown, YAML and JSON with full provenance, and back; and a person's plain list
of principles.

What an export wrote reads back as the same record. A principle that a person reworded keeps its evidence and
names the old wording as its parent; an edited constitution is a new version whose parent is the one that was
exported.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from iteralign.constitution import markdown, positions
from iteralign.data.files import must_be_file
from iteralign.errors import DataError
from iteralign.foreign.errors import Unreadable, short
from iteralign.records.iteralign import Constitution, Principle, PrincipleStatus
from iteralign.text.printable import readable_json

_LARGEST = 16 << 20
"""Bytes of a constitution's file, at most."""
FORMATS = (".md", ".markdown", ".txt", ".yaml", ".yml", ".json")


def to_markdown(constitution: Constitution) -> str:
    """A numbered list to read, with each principle's category, evidence count, iteration and status."""
    return markdown.write(constitution)


def to_json(constitution: Constitution) -> str:
    """The record as indented JSON; characters that a terminal would obey are escaped."""
    text = json.dumps(_data(constitution), indent=2, ensure_ascii=False)
    return readable_json(text) + "\n"


def to_yaml(constitution: Constitution) -> str:
    """The record as YAML; characters that a terminal would obey are escaped."""
    import yaml

    texts = [t for p in constitution.principles for t in (p.text, p.category or "", *p.evidence, *p.parents)]
    readable = all(t.isprintable() for t in [*texts, constitution.parent or ""])
    text: str = yaml.safe_dump(_data(constitution), sort_keys=False, allow_unicode=readable, width=120)
    return text


def writer(path: Path) -> Callable[[Constitution], str]:
    """What writes a constitution in the form that a file's ending names. Raises ``DataError``."""
    known = {".json": to_json, ".yaml": to_yaml, ".yml": to_yaml, ".md": to_markdown}
    if path.suffix.lower() not in known:
        raise DataError(
            f"{path}: {path.suffix or 'no'} ending; a constitution is written as {', '.join(known)}: name a "
            "file that ends so"
        )
    return known[path.suffix.lower()]


def from_file(path: Path | str) -> Constitution:
    """The constitution of a file.

    The file is one of the three exports, or a list of principles (Markdown bullets, YAML or JSON list).

    Raises ``DataError`` naming file, line and field of everything that is wrong.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in FORMATS:
        raise DataError(f"{path}: {kind or 'no'} extension; a constitution is read from {', '.join(FORMATS)}")
    must_be_file(path)
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8") from error
    if len(content) > _LARGEST:
        raise DataError(f"{path} is larger than {_LARGEST >> 20} MiB: that is no constitution")
    read = {".json": _from_json, ".yaml": _from_yaml, ".yml": _from_yaml}.get(kind, _from_markdown)
    data, lines = read(path, text)
    return _built(path, data, lines)


def _whole(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"holds half a surrogate pair (position {error.start}), which is no character; delete it"
        ) from error
    return text


_Text = Annotated[str, AfterValidator(_whole)]


class _Entry(BaseModel):
    """One principle as a file spells it."""

    model_config = ConfigDict(strict=True, extra="forbid")

    text: _Text
    id: _Text = ""
    category: _Text | None = None
    evidence: list[_Text] = Field(default_factory=list)
    born: int = Field(0, ge=0)
    status: PrincipleStatus = "active"
    parents: list[_Text] = Field(default_factory=list)


class _File(BaseModel):
    """A constitution as a file spells it."""

    model_config = ConfigDict(strict=True, extra="forbid")

    id: _Text = ""
    version: int = Field(0, ge=0)
    parent: _Text | None = None
    principles: list[_Entry] = Field(min_length=1)


Lines = Mapping[positions.Path, int]


def _data(constitution: Constitution) -> dict[str, Any]:
    record = constitution.to_json()
    order = ("text", "category", "born", "status", "evidence", "parents", "id")
    principles = [{k: p[k] for k in order} for p in record["principles"]]
    return {
        "version": record["version"],
        "id": record["id"],
        "parent": record["parent"],
        "principles": principles,
    }


def _from_json(path: Path, text: str) -> tuple[Any, Lines]:
    from iteralign.foreign.json import parse

    try:
        return parse(text), positions.of_json(text)
    except Unreadable as error:
        column = "" if error.column is None else f", column {error.column}"
        raise DataError(f"{path}{error.at}{column}: {error}") from error


def _from_yaml(path: Path, text: str) -> tuple[Any, Lines]:
    from iteralign.foreign.yaml import parse

    try:
        value, node = parse(text)
    except Unreadable as error:
        raise DataError(f"{path}{error.at}: {error}") from error
    return value, positions.of_yaml(node)


def _from_markdown(path: Path, text: str) -> tuple[Any, Lines]:
    try:
        items, facts = markdown.read(text)
    except markdown.MarkdownError as error:
        raise DataError(f"{path}, line {error.line}: {error}") from error
    if not items and "version" not in facts:
        raise DataError(f"{path}: no principle found; write each one on a line that begins with '- '")
    lines: dict[positions.Path, int] = {("principles", n): item.line for n, item in enumerate(items)}
    return {**facts, "principles": [{**item.facts, "text": item.text} for item in items]}, lines


def _built(path: Path, data: Any, lines: Lines) -> Constitution:
    if isinstance(data, list):
        data = {"principles": data}
        lines = {("principles", *at): line for at, line in lines.items()}
    if not isinstance(data, dict):
        raise DataError(
            f"{path}: {_kind(data)} found; a list of principles, or a mapping with the key 'principles', is "
            "expected"
        )
    entries = data.get("principles")
    if isinstance(entries, list):
        data = {**data, "principles": [{"text": e} if isinstance(e, str) else e for e in entries]}
    exported_empty = entries == [] and bool(data.get("id"))  # an export of the first, empty version
    try:
        file = _File.model_validate({**data, "principles": [{"text": "-"}]} if exported_empty else data)
    except ValidationError as error:
        raise DataError("\n".join(_explained(path, e, lines) for e in error.errors()[:10])) from error
    principles = () if exported_empty else _principles(path, file.principles, lines)
    constitution = Constitution(version=file.version, principles=principles, parent=file.parent)
    if file.id and constitution.id != file.id:
        return Constitution(version=file.version + 1, principles=principles, parent=file.id)
    return constitution


def _principles(path: Path, entries: list[_Entry], lines: Lines) -> tuple[Principle, ...]:
    found: list[Principle] = []
    first: dict[str, int] = {}
    problems: list[str] = []
    for number, entry in enumerate(entries):
        where = f"{path}{_line(lines, ('principles', number, 'text'))}, principles[{number}].text"
        principle = Principle(
            text=entry.text,
            category=entry.category,
            evidence=tuple(entry.evidence),
            born=entry.born,
            status=entry.status,
            parents=tuple(entry.parents),
        )
        if principle.id != entry.id:  # a person wrote it, or reworded it
            text = " ".join(entry.text.split())
            if not text:
                problems.append(f"{where}: empty; write the principle, or delete the entry")
            elif not text.isprintable():
                bad = next(c for c in text if not c.isprintable())
                problems.append(f"{where}: holds the control character {bad!r}; delete it")
            parents = tuple(dict.fromkeys((*entry.parents, entry.id))) if entry.id else principle.parents
            principle = dataclasses.replace(principle, id="", text=text, parents=parents)
            if principle.id in first:
                problems.append(f"{where}: repeats principles[{first[principle.id]}]; delete one of them")
        first.setdefault(principle.id, number)
        found.append(principle)
    if problems:
        raise DataError("\n".join(problems[:10]))
    return tuple(found)


def _explained(path: Path, error: Any, lines: Lines) -> str:
    at: tuple[str | int, ...] = error["loc"]
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in at).lstrip(".")
    where = f"{path}{_line(lines, at)}, {short(name) or 'the file'}"
    match error["type"]:
        case "missing":
            whole = at == ("principles",)
            remedy = "write the principles as a list" if whole else "every principle needs a text"
            return f"{where}: missing; {remedy}"
        case "extra_forbidden":
            known = _Entry.model_fields if len(at) > 1 else _File.model_fields
            return f"{where}: no such field. Known: {', '.join(known)}"
        case "too_short":
            return f"{where}: no principle in it; write at least one"
        case "value_error":
            return f"{where}: {error['ctx']['error']}"
        case "string_type":
            return (
                f"{where} = {_shown(error['input'])}: {_kind(error['input'])} found, text expected; put it "
                "in quotes"
            )
        case "model_type" | "model_attributes_type" | "dict_type":
            return (
                f"{where} = {_shown(error['input'])}: {_kind(error['input'])} found; write a text, or a "
                "mapping with a text"
            )
    return f"{where} = {_shown(error['input'])}: {error['msg'][0].lower()}{error['msg'][1:]}"


def _line(lines: Lines, at: tuple[str | int, ...]) -> str:
    """The line of a value, or of the nearest thing around it."""
    while at and at not in lines:
        at = at[:-1]
    return f", line {lines[at]}" if at in lines else ""


def _shown(value: object) -> str:
    shown = ascii(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def _kind(value: object) -> str:
    names = {
        dict: "a mapping",
        list: "a list",
        str: "a text",
        bool: "a yes/no value",
        int: "a number",
        float: "a number",
        type(None): "nothing",
    }
    return names.get(type(value), type(value).__name__)
