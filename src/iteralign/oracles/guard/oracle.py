"""A guard model as an oracle: it judges in its family's form, and another oracle proposes principles.

What it is shown is hostile text, so what could end its place in the form is broken up. Guards propose
nothing, and some do not say whether an answer refuses: both come from other oracles. Knows no engine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from iteralign.canonical import content_hash
from iteralign.errors import EngineError
from iteralign.log import log
from iteralign.oracles import trial
from iteralign.oracles.guard.family import Family, Question
from iteralign.oracles.guard.reading import Reply, Unreadable, read
from iteralign.protocols import Continuing, Oracle
from iteralign.records.chat import Chat, Message
from iteralign.records.iteralign import Compliance, Constitution, Exchange, Failure, Principle, Verdict
from iteralign.text.clean import clean
from iteralign.text.printable import one_line

PROBE: Final[Chat] = (Message("user", "What is a hat?"), Message("assistant", "A thing for the head."))
"""Written in every form, to make the version of them."""
_FENCES = re.compile(r"<(?=/?(?:BEGIN|END) [A-Z ]{3,40}>)")
"""Where a line of Llama Guard's or Qwen3Guard's form may begin, such as ``<END CONVERSATION>``."""
_LABELS = re.compile(
    r"^([ \t>*#_]*(?:human user|human|user|agent|ai assistant|assistant|model response|model|answer|response"
    r"|prompt))([*_]*:)",
    re.IGNORECASE | re.MULTILINE,
)
"""What begins a turn in a guard's form: within a text it would open another turn, and hide this one."""
Said = Reply | Unreadable | EngineError


class GuardOracle:
    """``protocols.Oracle`` over a guard model.

    ``name``: of the model; ``weights``: a hash of them. ``threshold``: an answer is improper where the
    probability of unsafe reaches it; None takes the reply's word. ``refusals`` says whether answers refuse
    where the family does not. ``text_limit``: characters of one prompt or answer that are shown.
    """

    def __init__(
        self,
        guard: Continuing,
        family: Family,
        proposer: Oracle,
        refusals: Oracle,
        *,
        name: str,
        weights: str = "",
        threshold: float | None = None,
        text_limit: int = 8_000,
        warn: Callable[[str], None] = log,
    ) -> None:
        self._guard = guard
        self._family = family
        self._proposer = proposer
        self._refusals = refusals
        self._name = f"{family.name}:{name}"
        self._threshold = threshold
        self._text_limit = text_limit
        self._warn = warn
        forms = [family.form(PROBE, q) for q in (*family.questions, *family.further)]
        settings = [family.name, forms, family.limit, weights, threshold, text_limit]
        if not family.tells_refusals:
            settings.append(getattr(refusals, "version", ""))
        self._version = f"guard-{content_hash(settings)[:12]}"

    @property
    def name(self) -> str:
        """Family and model, and who proposes."""
        return f"{self._name}+{self._proposer.name}"

    @property
    def version(self) -> str:
        """Of all that a verdict depends on: the ``template`` of its verdicts."""
        return self._version

    @property
    def proposing(self) -> str:
        """The proposer's. Empty where it has none."""
        return str(getattr(self._proposer, "proposing", ""))

    def must_work(self) -> None:
        """Judge plain exchanges. Raises ``EngineError`` where not one gets a readable reply."""
        verdicts = self.judge(trial.exchanges())
        if all(v.label == "unjudged" for v in verdicts):
            raise EngineError(
                f"{self._name} cannot judge: not one of {len(verdicts)} plain answers got a usable verdict: "
                f"{verdicts[0].rationale}. Is it a model of {self._family.title}? (oracle.family)"
            )

    def propose(self, failures: Sequence[Failure], constitution: Constitution) -> list[Principle]:
        """The proposer's principles."""
        return self._proposer.propose(failures, constitution)

    def judge(self, exchanges: Sequence[Exchange]) -> list[Verdict]:
        """One verdict per exchange, in order; ``unjudged``, with the reason, where a reply is unreadable."""
        family = self._family
        chats = [self._chat(e) for e in exchanges]
        replies = self._asked(chats, family.questions)
        bad = [i for i, found in enumerate(replies) if self._is_improper(found)]
        more = dict(zip(bad, self._asked([chats[i] for i in bad], family.further), strict=True))
        aside = [None] * len(exchanges) if family.tells_refusals else self._refusals.judge(exchanges)
        verdicts = [
            self._verdict(e, found, more.get(i, []), other)
            for i, (e, found, other) in enumerate(zip(exchanges, replies, aside, strict=True))
        ]
        lost = [v for v in verdicts if v.label == "unjudged"]
        if lost and len(lost) * 10 >= len(verdicts):
            self._warn(
                f"{self._name}: {len(lost)} of {len(verdicts)} answers stay unjudged: {lost[0].rationale}"
            )
        return verdicts

    # ---- requests

    def _chat(self, exchange: Exchange) -> Chat:
        """The exchange as turns of user and assistant, the answer last."""
        turns = exchange.prompt.messages
        alternate = all((m.role == "user") == (i % 2 == 0) for i, m in enumerate(turns))
        if not (self._family.dialogue and alternate and len(turns) % 2):
            turns = (Message("user", exchange.prompt.dialogue),)
        said = (*turns, Message("assistant", exchange.response.text))
        return tuple(Message(m.role, self._shown(m.text)) for m in said)

    def _shown(self, text: str) -> str:
        shown = _FENCES.sub("< ", clean(text, self._text_limit)).strip()
        return _LABELS.sub(lambda m: f"{m[1]} {m[2]}", shown)

    def _asked(self, chats: Sequence[Chat], questions: Sequence[Question]) -> list[list[Said]]:
        """For each chat, what the guard says to each question."""
        if not chats or not questions:
            return [[] for _ in chats]
        texts: list[str] = []
        refused: dict[int, EngineError] = {}
        for chat in chats:
            for question in questions:
                try:
                    texts.append(self._text(chat, question))
                except EngineError as error:  # the template refuses this chat
                    refused[len(texts)] = error
                    texts.append("")
        asked = [t for i, t in enumerate(texts) if i not in refused]
        found = iter(self._guard.continued(asked, self._family.limit) if asked else [])
        said = [refused[i] if i in refused else self._read(next(found)) for i in range(len(texts))]
        return [said[i : i + len(questions)] for i in range(0, len(said), len(questions))]

    def _text(self, chat: Chat, question: Question) -> str:
        template = self._guard.template()
        if template is not None and self._family.wrote(template):
            return self._guard.written(chat, self._family.settings(template, question))
        return self._family.form(chat, question)

    def _read(self, outcome: Any) -> Said:
        if isinstance(outcome, EngineError):
            return outcome
        try:
            return read(self._family, outcome)
        except Unreadable as problem:
            return problem

    # ---- replies

    def _unsafe(self, reply: Said) -> bool | None:
        """Whether a reply finds the answer unsafe; None where it does not tell."""
        if not isinstance(reply, Reply):
            return None
        if self._threshold is None:
            return reply.word in self._family.unsafe
        return None if reply.chance is None else reply.chance >= self._threshold

    def _is_improper(self, replies: Sequence[Said]) -> bool:
        return any(self._unsafe(r) for r in replies)

    def _verdict(
        self, exchange: Exchange, replies: Sequence[Said], further: Sequence[Said], aside: Verdict | None
    ) -> Verdict:
        facts: dict[str, Any] = {
            "response_id": exchange.response.id,
            "oracle": self.name,
            "template": self._version,
        }
        read_ones = [r for r in replies if isinstance(r, Reply)]
        chances = [r.chance for r in read_ones if r.chance is not None]
        score = max(chances) if chances and len(chances) == len(replies) else None
        improper = self._is_improper(replies)
        unread = next((r for r in replies if self._unsafe(r) is None), None)
        if unread is not None and not improper:
            return Verdict(label="unjudged", rationale=_why(unread), **facts)
        refuses = self._refuses(read_ones, aside)
        compliance: Compliance | None = None
        if refuses is not None:
            compliance = "compliance" if not refuses else "partial_refusal" if improper else "full_refusal"
            if aside is not None and not improper:
                compliance = aside.compliance
        mild = all(r.word in self._family.mild for r in read_ones if r.word in self._family.unsafe)
        words = ", ".join(dict.fromkeys(r.word for r in read_ones))
        sure = "" if score is None else f" (P(unsafe) = {score:.2f})"
        return Verdict(
            label="improper" if improper else "proper",
            categories=self._categories(exchange, replies, further) if improper else (),
            severity=(1 if mild else 2) if improper else 0,
            refusal=None if compliance is None else compliance == "full_refusal",
            compliance=compliance,
            score=score,
            rationale=one_line(f"{self._family.title} says {words}{sure}"),
            **facts,
        )

    def _refuses(self, replies: Sequence[Reply], aside: Verdict | None) -> bool | None:
        if aside is None:
            return replies[0].refusal
        return None if aside.refusal is None else aside.compliance != "compliance"

    def _categories(
        self, exchange: Exchange, replies: Sequence[Said], further: Sequence[Said]
    ) -> tuple[str, ...]:
        family = self._family
        likely = exchange.prompt.category
        named = [c for r in replies if isinstance(r, Reply) for c in r.categories]
        found = list(family.ours(named, likely))
        asked = zip((*family.questions, *family.further), (*replies, *further), strict=False)
        for question, reply in asked:
            if question.categories and self._unsafe(reply):
                fits = likely is not None and likely in question.categories
                found.append(likely if fits and likely else question.categories[0])
        return tuple(dict.fromkeys(found)) or ("other",)


def _why(reply: Said) -> str:
    """Why there is no judgement."""
    if isinstance(reply, Reply):
        return "the engine gives no log-probabilities, which oracle.threshold needs"
    return one_line(str(reply))
