"""The forms in which a model is asked to reflect and to answer again, with or without worked examples.

A form makes chats of a failure and its principles, and reads the replies. Knows no model and no oracle.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

from iteralign.canonical import content_hash
from iteralign.prompts.exemplars import Exemplar, exemplars
from iteralign.prompts.render import Templates
from iteralign.records.chat import Chat, Message
from iteralign.records.iteralign import Failure, Principle

Form = Literal["reflect-revise", "answer-again", "critique-revise"]
OTHER: Final[dict[str, Form]] = {
    "reflect-revise": "answer-again",
    "critique-revise": "answer-again",
    "answer-again": "critique-revise",
}
"""The form that is tried where another one gave nothing that may be learnt."""
MARK: Final = "Better answer:"
"""What a critique ends with, before the answer."""
_MARKED: Final = re.compile(r"[*_#\s]*\bbetter answer[*_ ]*:[*_]*", re.IGNORECASE)
"""The mark as models write it, in bold or as a heading."""
_TEMPLATES: Final = Templates(
    *("constitution", "reflect", "revise", "answer_again"),
    *("critique_revise", "critique_revised", "reflect_by_example", "revise_by_example"),
)


class Asking:
    """One form, with ``shown`` worked examples as earlier turns.

    Without examples the principles stand in the system turn. With them each example brings its own principle,
    and the turns of the examples are the same for all failures, so that an engine reads them once.
    """

    def __init__(self, form: Form, shown: int = 0) -> None:
        self.form = form
        self._exemplars = exemplars(shown)
        self.fingerprint = content_hash([form, shown, _TEMPLATES.fingerprint, repr(self._exemplars)])

    @property
    def twice(self) -> bool:
        """Whether the first reply is a reflection, and the answer is a second one."""
        return self.form == "reflect-revise"

    def first(self, failure: Failure, principles: Sequence[Principle]) -> Chat:
        """The first chat. Its reply is a reflection, an answer, or both (``read``)."""
        texts = [p.text for p in principles]
        prompt = failure.prompt
        if not self._exemplars:
            system = _system(texts)
            match self.form:
                case "answer-again":
                    return (*system, *prompt.messages)
                case "reflect-revise":
                    said = _TEMPLATES.render(
                        "reflect", question=prompt.dialogue, answer=failure.response.text
                    )
                case "critique-revise":
                    said = self._question(prompt.dialogue, failure.response.text, [])
            return (*system, Message("user", said))
        return (
            *(turn for e in self._exemplars for turn in self._example(e)),
            Message("user", self._question(prompt.dialogue, failure.response.text, texts)),
        )

    def second(self, failure: Failure, principles: Sequence[Principle], reflection: str) -> Chat:
        """The second chat, with the reflection in view; its reply is the answer."""
        texts = [p.text for p in principles]
        facts = {
            "question": failure.prompt.dialogue,
            "answer": failure.response.text,
            "reflection": reflection,
        }
        if not self._exemplars:
            return (*_system(texts), Message("user", _TEMPLATES.render("revise", **facts)))
        turns = [
            turn
            for e in self._exemplars
            for turn in (
                Message(
                    "user",
                    _TEMPLATES.render(
                        "revise_by_example",
                        principles=[e.principle],
                        question=e.question,
                        answer=e.poor,
                        reflection=e.reflection,
                    ),
                ),
                Message("assistant", e.good),
            )
        ]
        return (
            *turns,
            Message("user", _TEMPLATES.render("revise_by_example", principles=texts, **facts)),
        )

    def read(self, reply: str) -> tuple[str, str]:
        """Reflection and answer of a first reply that holds both, or the answer alone.

        The answer is empty where a critique does not come to one.
        """
        if self.form == "answer-again":
            return "", reply
        marks = list(_MARKED.finditer(reply))
        if not marks:
            return reply.strip(), ""
        return reply[: marks[-1].start()].strip(), reply[marks[-1].end() :].strip()

    def _example(self, e: Exemplar) -> tuple[Message, Message]:
        match self.form:
            case "answer-again":
                reply = e.good
            case "reflect-revise":
                reply = e.reflection
            case "critique-revise":
                reply = _TEMPLATES.render(
                    "critique_revised", reflection=e.reflection, answer=e.good, mark=MARK
                )
        asked = self._question(e.question, e.poor, [e.principle])
        return Message("user", asked), Message("assistant", reply)

    def _question(self, question: str, answer: str, principles: Sequence[str]) -> str:
        fields: dict[str, object] = {"principles": list(principles), "question": question}
        match self.form:
            case "answer-again":
                return _TEMPLATES.render("answer_again", **fields)
            case "reflect-revise":
                return _TEMPLATES.render("reflect_by_example", answer=answer, **fields)
            case "critique-revise":
                return _TEMPLATES.render("critique_revise", answer=answer, mark=MARK, **fields)


def _system(principles: Sequence[str]) -> Chat:
    if not principles:
        return ()
    return (Message("system", _TEMPLATES.render("constitution", principles=list(principles))),)
