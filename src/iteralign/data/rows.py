"""One row of a data file, and the names under which published sets keep questions, what belongs to them, and
answers. Imports nothing of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

# Looked for tier by tier, ignoring case: a name of a later tier counts only where none of an earlier tier is
# there.
QUESTION_FIELDS: Final = (
    (
        "prompt",
        "question",
        "instruction",
        "goal",
        "behavior",
        "behaviour",
        "query",
        "request",
        "attack",
        "messages",
        "conversation",
        "conversations",
        "turns",
        "forbidden_prompt",
        "user_input",
        "user_prompt",
        "adversarial",
        "vanilla",
        "augq",
    ),
    ("text", "content", "input", "utterance", "sentence", "task", "baseq"),
    ("chosen", "transcript", "dialogue"),
)
CONTEXT_FIELDS: Final = ("contextstring", "context", "context_string", "passage", "document", "input")
"""What a question is about, in a field of its own: it is asked with the question."""
SYSTEM_FIELDS: Final = ("system_prompt", "system_message", "system")
"""A system turn, in a field of its own."""
ANSWER_FIELDS: Final = (
    *("response", "answer", "target_response", "model_response", "model_output", "generation"),
    *("completion", "output", "reply"),
)
_COMPANIONS: Final = frozenset(
    {
        "id",
        "input",
        "target",
        "output",
        "response",
        "answer",
        "label",
        "tag",
        "topic",
        "subtopic",
        "category",
        "subcategory",
        "intent",
    }
)


@dataclass(frozen=True, slots=True)
class Row:
    """One value of a file: a text, or an object's fields.

    ``path``: the keys of the nested objects that it stood in.
    """

    where: str
    value: Any
    path: tuple[str, ...] = ()


def table_rows(value: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The rows of an object whose keys are columns; None where they are topics.

    Such an object looks like ``{"prompts": [...], "tags": [...]}``.

    Columns are equally long lists (empty ones are left out), one of them holds questions and the others what
    goes with questions; a plural counts as its singular.
    """
    columns = {k.lower().removesuffix("s"): v for k, v in value.items() if v != []}
    questions = columns.keys() & {*QUESTION_FIELDS[0], "text"}
    lists = [v for v in columns.values() if isinstance(v, list)]
    if (
        len(questions) != 1
        or len(lists) < len(columns)
        or not columns.keys() - questions <= _COMPANIONS
        or len({len(v) for v in lists}) != 1
    ):
        return None
    return [{k: v[i] for k, v in columns.items()} for i in range(len(lists[0]))]
