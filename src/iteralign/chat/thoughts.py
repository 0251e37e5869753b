"""Thoughts apart from answers: what a model that thinks aloud writes before it says something.

The one place that knows how thoughts are marked: by tags in the text, by the channels of gpt-oss (harmony),
and by templates that open a thought themselves. Knows no engine and no judge.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeVar

from iteralign.errors import EngineError
from iteralign.records.chat import Completion

Fault = TypeVar("Fault", bound=EngineError)
Mode = Literal["apart", "keep"]
TAGS: Final = (
    *(("<think>", "</think>"), ("<thinking>", "</thinking>"), ("<thought>", "</thought>")),
    *(("<reasoning>", "</reasoning>"), ("<reason>", "</reason>"), ("<seed:think>", "</seed:think>")),
    *(("[THINK]", "[/THINK]"), ("◁think▷", "◁/think▷")),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
)
_ANSWER: Final = (
    *(("<answer>", "</answer>"), ("<response>", "</response>")),
    ("<|begin_of_solution|>", "<|end_of_solution|>"),
)
"""What some models put around the answer that follows a thought."""
_UNOPENED: Final = frozenset(
    {"</think>", "</seed:think>", "[/THINK]", "◁/think▷", "<|end_of_thought|>"}  # no tags of ordinary markup
)
"""Closing tags that count without an opening one: servers leave that away."""
CHANNEL: Final = "<|channel|>"
_BEGINS: Final = re.compile(r"(?:<\|start\|>\s*\w*\s*)?<\|channel\|>")
_PIECE: Final = re.compile(
    r"<\|channel\|>\s*(?P<channel>\w+)[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>(?P<text>.*?)"
    r"(?=<\|end\|>|<\|return\|>|<\|call\|>|<\|start\|>|<\|channel\|>|\Z)(?P<end><\|\w+\|>)?",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Parted:
    """A text in its parts. ``thought``: None where there is none; ``ended``: it was closed.

    ``mark``: how it was recognised, empty where there is none.
    """

    answer: str
    thought: str | None = None
    ended: bool = True
    mark: str = ""


def part(text: str, opened: str = "") -> Parted:
    """The thought and the answer of a text.

    ``opened``: the tag with which the prompt has begun a thought already. A tag counts where the text begins
    with it, and channels where it begins with one; a tag that closes without having been opened counts at the
    edge of a line, outside of code.
    """
    plain = text.strip()
    if _BEGINS.match(plain) and (found := _channels(plain)) is not None:
        return found
    for opening, closing in TAGS:
        begins = plain.startswith(opening)
        if not begins and opened != opening:
            continue
        inner, closed, rest = _closed(plain.removeprefix(opening), closing)
        mark = f"{opening} ... {closing}"
        if closed:
            return Parted(_bare(rest), inner.strip(), True, mark)
        return Parted("", inner.strip(), False, mark)
    for opening, closing in TAGS:
        if closing not in _UNOPENED or (at := _at_an_edge(closing).search(plain)) is None:
            continue
        before = plain[: at.start(1)]
        if opening.rstrip(">") not in before and before.count("```") % 2 == 0:
            return Parted(_bare(plain[at.end(1) :]), before.strip(), True, f"... {closing}")
    return Parted(plain)


def _at_an_edge(closing: str) -> re.Pattern[str]:
    """The tag at the beginning or the end of a line."""
    tag = re.escape(closing)
    return re.compile(rf"(?:^[ \t]*(?={tag})|(?={tag}[ \t]*$))({tag})", re.MULTILINE)


def _closed(text: str, closing: str) -> tuple[str, str, str]:
    """As ``str.partition``, at a tag at the edge of a line where there is one: a thought may name it."""
    at = _at_an_edge(closing).search(text)
    return text.partition(closing) if at is None else (text[: at.start(1)], closing, text[at.end(1) :])


def unfinished(text: str) -> bool:
    """Whether a text is nothing but a thought that never ended, or a thought without an answer."""
    found = part(text)
    return found.thought is not None and not found.answer


def written(thought: str, answer: str, *, ended: bool = True) -> str:
    """A thought and an answer in one text, as ``part`` reads it; a closing tag within is broken up."""
    opening, closing = TAGS[0]
    thought = thought.replace(closing, f"{closing[0]} {closing[1:]}")
    return f"{opening}\n{thought.strip()}\n{closing}\n\n{answer}" if ended else f"{opening}\n{thought}"


class Apart:
    """Keeps thoughts apart from answers, and says once how they were recognised.

    ``opened``: the tag with which the chat template itself begins a thought, empty where it does not.
    """

    def __init__(self, mode: Mode, warn: Callable[[str], None]) -> None:
        self._mode = mode
        self._warn = warn
        self._told = False

    def __call__(self, outcome: Completion | Fault, opened: str = "") -> Completion | Fault:
        """The outcome with its thought apart; a thought that never ended leaves an answer that was cut."""
        if self._mode == "keep" or not isinstance(outcome, Completion):
            return outcome
        found = part(outcome.text, opened)
        never = opened and not found.ended and not outcome.text.lstrip().startswith(opened)
        if found.thought is None or (never and outcome.finish == "stop"):
            return outcome  # where only the template opened a thought the model may answer at once
        if not self._told:
            self._told = True
            how = f"its chat template opens {opened}" if opened else f"its text: {found.mark}"
            self._warn(
                f"the model thinks aloud (recognised by {how}): thoughts are kept apart, and answers alone "
                "are judged, quoted and trained on; model.thoughts = keep takes them for part of the answer"
            )
        finish = outcome.finish if found.ended else "length"
        return replace(outcome, text=found.answer, finish=finish, thought=found.thought)


def opened_by(prompt: str) -> str:
    """The tag that a prompt ends with, so that what follows is a thought; empty where there is none."""
    end = prompt.rstrip()
    return next((opening for opening, _ in TAGS if end.endswith(opening)), "")


def closing_of(opening: str) -> str:
    """The tag that closes what this one opens."""
    return dict(TAGS)[opening]


def marked(tokenizer: Any, tokens: list[int], plain: str) -> str:
    """The text of generated tokens with the marks of thoughts in it, where these are special tokens.

    ``plain``: the text without special tokens, which is given back where there are no such marks.
    """
    whole = tokenizer.decode(tokens, skip_special_tokens=False)
    if _BEGINS.match(whole.strip()) and (found := _channels(whole)) is not None:
        if found.thought is None:
            return found.answer
        return written(found.thought, found.answer, ended=found.ended)
    for opening, closing in TAGS:
        if (opening in whole or closing in whole) and opening not in plain and closing not in plain:
            inner, closed, rest = whole.partition(closing)
            inner = _without_specials(tokenizer, inner.partition(opening)[2] or inner)
            if closed:
                return written(inner, _without_specials(tokenizer, rest))
            return written(inner, "", ended=False) if opening in whole else plain
    return plain


def _without_specials(tokenizer: Any, text: str) -> str:
    for name in sorted(tokenizer.all_special_tokens, key=len, reverse=True):
        text = text.replace(name, "")
    return text.strip()


def _channels(text: str) -> Parted | None:
    """Harmony: ``final`` is the answer, all other channels are thoughts; None where no message is told."""
    thoughts: list[str] = []
    answer: list[str] = []
    for piece in _PIECE.finditer(text):
        (answer if piece["channel"] == "final" else thoughts).append(piece["text"].strip())
    if not thoughts and not answer:
        return None
    thought = "\n\n".join(t for t in thoughts if t) if thoughts else None
    return Parted("\n\n".join(answer), thought, bool(answer), f"{CHANNEL}analysis ... {CHANNEL}final")


def _bare(answer: str) -> str:
    """An answer without the tags that some models put around it."""
    answer = answer.strip()
    for opening, closing in _ANSWER:
        if answer.startswith(opening):
            return answer.removeprefix(opening).removesuffix(closing).strip()
    return answer
