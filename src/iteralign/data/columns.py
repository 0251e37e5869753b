"""Columns that a user names: which field of a file holds what, whatever the file calls it.

Works on rows before anything reads them, so that every reader takes it alike. Knows no layout.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from iteralign.data.rows import ANSWER_FIELDS, CONTEXT_FIELDS, QUESTION_FIELDS, SYSTEM_FIELDS, Row
from iteralign.errors import DataError
from iteralign.foreign.errors import short

Columns = Mapping[str, str]
"""What a field is for -> the field's name in the file; ``a.b.0`` reaches into objects and lists."""

_QUESTIONS: Final = frozenset(QUESTION_FIELDS[0])
_LABELS: Final = frozenset(
    {"label", "response_label", "prompt_label", "improper", "is_safe", "human_majority", "final_label"}
    | {"response_harm_label", "prompt_harm_label", "human_label", "jailbroken", "toxicity"}
    | {"response_harmfulness"}
)
_PROPER: Final = re.compile(r"(^|_)(safe|harmless|proper)(_|$)")
_IMPROPER: Final = re.compile(r"(^|_)(unsafe|harmful|improper)(_|$)")
_NOT: Final = re.compile(r"(^|_)(not|non|un)(_|$)")
_WORD: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")
_TRUTH: Final = frozenset({"true", "false", "yes", "no", "1", "0", "1.0", "0.0"})
_SENSES: Final = frozenset(
    {"harmful", "unharmful", "harmless", "safe", "unsafe", "improper", "proper", "toxic", "non-toxic"}
)
"""Values that say themselves whether an answer is improper."""
_ASKED: Final = frozenset({"prompt", "messages", "question", "instruction", "input", "text"})
_BY_CONTENT: Final = _ASKED | {"response", "answer", "completion"}
_NO_TEXT: Final = frozenset({"id", "uid", "uuid", "source", "category", "topic", "type", "split", "model"})
_INSTEAD: Final[dict[str, frozenset[str]]] = {
    "prompt": _QUESTIONS,
    "messages": _QUESTIONS,
    "question": _QUESTIONS,
    "context": frozenset(CONTEXT_FIELDS),
    "system": frozenset(SYSTEM_FIELDS),
    "response": frozenset(ANSWER_FIELDS),
    "completion": frozenset(ANSWER_FIELDS),
    "label": _LABELS,
    "category": frozenset({"category", "semanticcategory", "risk_area", "hazard", "harm_category"}),
    "topic": frozenset({"topic", "subtopic", "sub_topic", "subcategory", "sub_category", "types_of_harm"}),
    "intent": frozenset(),
    "instruction": _QUESTIONS,
    "answer": frozenset(ANSWER_FIELDS),
}
"""What a column may be named as, and the fields that are then not read as such themselves."""
_OF_TASKS: Final = (
    *("subset", "input", "target_scores", "chosen", "rejected", "text", "turns", "choices"),
    *("mc0_targets", "mc1_targets", "mc2_targets", "best answer", "best incorrect answer"),
    *("correct answers", "incorrect answers"),
)
"""Fields of evaluations' files, which take the named field's place alone."""
NAMES: Final = (*_INSTEAD, *_OF_TASKS)
FORM: Final = "--columns prompt=FIELD,response=FIELD,label=FIELD"
_LISTED: Final = 300
"""Characters of a row's fields, in a message."""
_NAMED: Final = 120
"""Characters of one field's name, in such a list."""
_EXAMPLE: Final = 200
"""Characters of what a message suggests."""


def parse_columns(text: str) -> dict[str, str]:
    """Columns out of ``prompt=goal,response=target_response``. Raises ``DataError``."""
    found: dict[str, str] = {}
    for part in text.split(","):
        name, eq, field = (x.strip() for x in part.partition("="))
        if not eq or not name or not field:
            raise DataError(f"--columns {text}: {part.strip()!r} is not NAME=FIELD. Write {FORM}")
        if name.lower() in found:
            raise DataError(f"--columns {text}: {name!r} is named twice")
        found[name.lower()] = field
    must_be_known(found, f"--columns {text}")
    return found


def must_be_known(columns: Columns, place: str) -> None:
    """Raises ``DataError`` for a name that nothing here is called by."""
    for name in columns:
        if name not in NAMES:
            near = difflib.get_close_matches(name, NAMES, 1)
            guess = f" Did you mean {near[0]!r}?" if near else ""
            raise DataError(
                f"{place}: {name!r} is nothing that a column can hold.{guess} Known: {', '.join(_INSTEAD)}; "
                f"for evaluations also {', '.join(_OF_TASKS)}. Write NAME=FIELD, FIELD as the file calls it"
            )


def with_columns(rows: Sequence[Row], columns: Columns | None, place: str) -> list[Row]:
    """The rows with the named fields under the names that are read.

    Raises ``DataError`` where no row has a field, with those that there are.
    """
    if not columns or not rows:
        return list(rows)
    must_be_known(columns, f"{place}: columns")
    for name, field in columns.items():
        if not any(isinstance(r.value, Mapping) and _find(r.value, field)[0] for r in rows):
            first = next((r.value for r in rows if isinstance(r.value, Mapping)), None)
            held = "its rows are plain texts" if first is None else f"Fields: {names(first)}"
            near = difflib.get_close_matches(field.lower(), map(str, first or ()), 1)
            guess = f"Did you mean {near[0]!r}? " if near else ""
            raise DataError(f"{place}: no field {field!r}, which {name}={field} names. {guess}{held}")
    return [_renamed(r, columns) for r in rows]


def names(value: Mapping[Any, Any]) -> str:
    """A row's fields, quoted, as messages list them."""
    return short(", ".join(_quoted(str(k)) for k in list(value)[:20]) or "none", _LISTED)


def _quoted(name: str) -> str:
    return short(repr(name), _NAMED)


def remedy(value: object, wanted: Sequence[str]) -> str:
    """How to name the columns of a row, with its own fields: what every message ends with that misses one.

    ``wanted``: what is missed, the first first.
    """
    if not isinstance(value, Mapping) or not any(str(k).strip() for k in value):
        return f"Or name the fields: {FORM}"
    fields = {str(k): v for k, v in value.items() if str(k).strip()}
    plain = {k.strip().lower() for k in fields}
    chosen: dict[str, str | None] = {}
    for name in [n for n in wanted if n not in plain] or wanted:
        taken = {*chosen.values(), *wanted}
        left = {k: v for k, v in fields.items() if k not in taken and k.strip().lower() not in taken}
        chosen[name] = _label_among(left) if name == "label" else _text_among(name, left)
    example = ",".join(f"{n}={_shell(f) if f else 'FIELD'}" for n, f in chosen.items())
    return (
        f"Name the fields: --columns {short(example, _EXAMPLE)}, with your own of "
        f"{short(', '.join(map(_quoted, list(fields)[:20])), _LISTED)} "
        "(in a recipe: the key columns beside the source)"
    )


def _text_among(name: str, fields: Mapping[str, Any]) -> str | None:
    """The field that a text may stand in: by its name, else the first that holds one.

    None where nothing fits: what is read under its own name already, or holds another part, does not.
    """
    others = frozenset(ANSWER_FIELDS) | _LABELS if name in _ASKED else _QUESTIONS | _LABELS
    own = _INSTEAD.get(name, frozenset()) | {name}
    texts = [k for k, v in fields.items() if _is_text(v) and k.strip().lower() not in others | own]
    alike = {"prompt": "question", "response": "answer"}.get(name, name)
    named = (k for k in texts if name in k.lower() or alike in k.lower())
    any_text = (k for k in texts if name in _BY_CONTENT and _words(k) not in _NO_TEXT)
    return next(named, None) or next(any_text, None)


def _is_text(value: object) -> bool:
    """Whether a value is a text, or turns of a chat; a number in a table is none."""
    if isinstance(value, str):
        return any(c.isalpha() for c in value) and value.strip().lower() not in _SENSES | _TRUTH
    return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)


def _label_among(fields: Mapping[str, Any]) -> str | None:
    """The field that a label may stand in: one whose name or whose value says what is improper."""
    found = {k: v for k, v in fields.items() if _words(k) not in _LABELS and _is_label(v)}
    named = (k for k in found if "label" in k.lower() and _senses(found[k]))
    told = (k for k in found if _PROPER.search(_words(k)) or _IMPROPER.search(_words(k)))
    said = (k for k, v in found.items() if str(v).strip().lower() in _SENSES)
    return next(named, None) or next(told, None) or next(said, None)


def _is_label(value: object) -> bool:
    return _senses(value) or isinstance(value, bool)


def _senses(value: object) -> bool:
    return str(value).strip().lower() in _SENSES | _TRUTH


def _shell(field: str) -> str:
    return f"'{field}'" if " " in field else field


def _renamed(row: Row, columns: Columns) -> Row:
    if not isinstance(row.value, Mapping):
        return row
    taken = set(columns)
    for name in columns:
        taken |= _INSTEAD.get(name, frozenset())
    rest = {k: v for k, v in row.value.items() if str(k).strip().lower() not in taken}
    found = {name: _find(row.value, field) for name, field in columns.items()}
    read = {_key(name, columns[name], v): v for name, (there, v) in found.items() if there}
    return Row(row.where, read | rest, row.path)


def _key(name: str, field: str, value: object) -> str:
    """The name that a field is read under, where what it holds depends on what the file calls it.

    An instruction that is named as the prompt keeps its name, by which its input belongs to it; a truth value
    that says that an answer is proper is read as ``is_safe``, since a ``label`` is true where it is improper.
    """
    if name == "prompt" and field.strip().lower() == "instruction":
        return "instruction"
    words = _words(field)
    proper = bool(_PROPER.search(words))
    one_way = proper != bool(_IMPROPER.search(words))  # safe_or_unsafe tells nothing
    inverse = name == "label" and one_way and proper != bool(_NOT.search(words))
    return "is_safe" if inverse and str(value).strip().lower() in _TRUTH else name


def _words(field: str) -> str:
    """A field's name with its words apart: ``isSafe`` and ``is-safe`` are ``is_safe``."""
    return _WORD.sub("_", field.strip()).lower()


def _find(value: Mapping[str, Any], field: str) -> tuple[bool, Any]:
    """Whether a row has the field, and what it holds; case does not matter."""
    plain = {str(k).strip().lower(): v for k, v in value.items()}
    wanted = field.strip().lower()
    if wanted in plain:
        return True, plain[wanted]
    head, dot, rest = wanted.partition(".")
    while dot:
        inner = plain.get(head)
        if isinstance(inner, list) and inner and rest.partition(".")[0].lstrip("-").isdigit():
            index, _, deeper = rest.partition(".")
            if not -len(inner) <= int(index) < len(inner):
                return False, None
            item = inner[int(index)]
            if not deeper:
                return True, item
            return _find(item, deeper) if isinstance(item, Mapping) else (False, None)
        if isinstance(inner, Mapping):
            return _find(inner, rest)
        more, dot, rest = rest.partition(".")
        head = f"{head}.{more}"
    return False, None
