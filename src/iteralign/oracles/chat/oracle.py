"""An oracle out of any chat model: it judges exchanges and proposes principles.

Asks with our templates, for structured replies. What it shows to the model is hostile text in a frame
(``frame``); what comes back counts only when it validates. Knows no engine and no server.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pydantic import BaseModel

from iteralign.canonical import content_hash
from iteralign.errors import EngineError, Filtered, PromptTooLong, RateLimited, Unavailable
from iteralign.log import log
from iteralign.oracles import trial
from iteralign.oracles.chat.asking import ask, no_room, said_nothing
from iteralign.oracles.chat.frame import Unusable, mark_for, read
from iteralign.oracles.chat.replies import PROPOSAL_SCHEMA, Judgement, Proposal, judgement_schema
from iteralign.prompts.render import render, version
from iteralign.protocols import Generator
from iteralign.records.chat import Chat, Completion, Message, SamplingParams
from iteralign.records.iteralign import Constitution, Exchange, Failure, Principle, Verdict
from iteralign.text.clean import clean
from iteralign.text.printable import count_of, one_line
from iteralign.text.words import runs

OTHER = "other"
MANY = 8
"""Answers without one usable reply that show a judge to be of no use."""
MANY_OWN = 48
"""The same, where each has a reason of its own: a filter, or its length."""
LIMIT = 1024
"""Tokens of a reply, where no setting gives another number."""
_NUMBERING = re.compile(r"^(?:[-*\u2022]|\(?\d{1,3}[.):])\s+")
_MIN_WORDS = 4
_MAX_WORDS = 80


@dataclass(frozen=True, slots=True)
class _Request:
    chat: Chat
    mark: str


R = TypeVar("R", bound=BaseModel)


class _Cut(Unusable):
    """A reply that was cut before it said anything; to ask for a shorter one does not help."""


class ChatOracle:
    """``protocols.Oracle`` over any ``Generator``.

    One that is a ``StructuredGenerator`` is held to the reply's JSON schema. ``categories``: name ->
    definition, as the judge is shown them; ``other`` is always among them. ``text_limit``: characters of one
    prompt or answer that are shown; ``cluster_limit``: characters of a whole cluster of failures. Raises what
    the engine raises for every chat; a single bad item is ``unjudged``.
    """

    def __init__(
        self,
        judge: Generator,
        proposer: Generator,
        *,
        name: str,
        categories: Mapping[str, str],
        seed: int = 0,
        temperature: float = 0.0,
        max_new_tokens: int = LIMIT,
        max_principles: int = 4,
        text_limit: int = 8_000,
        cluster_limit: int = 24_000,
        warn: Callable[[str], None] = log,
    ) -> None:
        self._judge = judge
        self._proposer = proposer
        self._name = name
        self._warn = warn
        self._categories = {OTHER: "any other harm", **categories}
        self._categories[OTHER] = self._categories.pop(OTHER)  # the last one
        self._params = SamplingParams(max_new_tokens=max_new_tokens, temperature=temperature, seed=seed)
        self._useful = False
        self._failed = 0  # answers without a usable reply, while there was none with one
        self._max_principles = max_principles
        self._text_limit = text_limit
        self._cluster_limit = cluster_limit
        self._schema = judgement_schema(list(self._categories))
        # a verdict that could be read was not cut: it does not depend on the limit
        usual = replace(self._params, max_new_tokens=LIMIT)
        settings = [name, usual, self._categories, self._schema, text_limit]
        self._version = f"{TEMPLATE}-{content_hash(settings)[:8]}"
        settings = [usual, max_principles, text_limit, cluster_limit]
        self._proposing = f"{PROPOSING}-{content_hash(settings)[:8]}"

    @property
    def name(self) -> str:
        """Name and version, as verdicts record it."""
        return self._name

    @property
    def version(self) -> str:
        """Of all that a verdict depends on: the ``template`` of its verdicts.

        That is the templates, and after a dash the model, categories, sampling, limits and reply schema.
        """
        return self._version

    @property
    def proposing(self) -> str:
        """Of all that principles depend on beside the failures and the model: templates, sampling, limits."""
        return self._proposing

    @property
    def formerly(self) -> str:
        """What earlier releases called this version: they recorded the templates alone."""
        return TEMPLATE

    def judge(self, exchanges: Sequence[Exchange]) -> list[Verdict]:
        """One verdict per exchange, in order.

        It is ``unjudged``, with the reason, where the model gave no usable one twice.
        """
        replies = self._judgements(exchanges)
        self._must_be_of_use(replies)
        return [self._verdict(e, r) for e, r in zip(exchanges, replies, strict=True)]

    def propose(self, failures: Sequence[Failure], constitution: Constitution) -> list[Principle]:
        """Principles that would have prevented these failures, best first.

        Their evidence is the failures that the model names. A cluster that does not fit, or that a filter
        refuses, is halved until a part goes through. An unusable reply gives none, and a warning.
        """
        known = [p.text for p in constitution.principles if p.status == "active"]
        parts = [self._fitting(failures)] if failures else []
        reason: Unusable | EngineError | None = None
        while parts:  # in the order of their size: the more failures are seen, the better
            shown = parts.pop(0)
            reply = self._proposal(shown, known)
            if isinstance(reply, Proposal):
                return self._principles(reply, shown, known)
            reason = reason or reply
            if isinstance(reply, Unusable | Unavailable | RateLimited):
                break
            if len(shown) > 1:
                middle = len(shown) // 2
                # what was too long is too long in the other half as well; what was filtered is in one of them
                parts += (
                    [shown[:middle]] if isinstance(reply, PromptTooLong) else [shown[:middle], shown[middle:]]
                )
        if reason is not None:
            self._warn(
                f"{self._name} proposed nothing for {count_of(len(failures), 'failure')} "
                f"({failures[0].category}): {_shown(reason)}"
            )
        return []

    def must_work(self) -> None:
        """Try the judge, and a proposer that is another model, before anything depends on them.

        Raises ``EngineError`` where not one of ``MANY`` plain exchanges gets a usable reply. A judge that
        works is asked once.
        """
        first, *others = trial.exchanges()
        replies = self._judgements([first])
        if not isinstance(replies[0], Judgement):
            replies += self._judgements(others)
        if not any(isinstance(r, Judgement) for r in replies):
            raise EngineError(
                f"{self._name} cannot judge: not one of {len(replies)} plain answers got a usable verdict: "
                f"{_shown(replies[0])}. {_remedy(replies[0])}"
            )
        if self._proposer is self._judge:
            return
        refused: Unusable | EngineError | None = None
        for failure in trial.failures()[:3]:
            reply = self._proposal([failure], [])
            if isinstance(reply, Proposal):
                return
            refused = refused or reply
        raise EngineError(
            f"{self._name} cannot propose principles: not one of 3 requests got a usable reply: "
            f"{_shown(refused)}. {_remedy(refused)}"
        )

    def _judgements(self, exchanges: Sequence[Exchange]) -> list[Judgement | Unusable | EngineError]:
        system = Message("system", render("judge", categories=self._categories))
        requests = [self._judge_request(system, e) for e in exchanges]
        return self._ask(self._judge, requests, self._shape(), self._schema)

    def _shape(self) -> type[Judgement]:
        """What a judgement is read by."""
        return Judgement

    def _proposal(
        self, failures: Sequence[Failure], known: Sequence[str]
    ) -> Proposal | Unusable | EngineError:
        request = self._propose_request(failures, known)
        return self._ask(self._proposer, [request], Proposal, PROPOSAL_SCHEMA)[0]

    def _must_be_of_use(self, replies: Sequence[Judgement | Unusable | EngineError]) -> None:
        """Raises ``EngineError`` where a model has never given a usable reply, and now failed at many.

        Warns where it failed at a tenth.
        """
        wrong = [r for r in replies if not isinstance(r, Judgement)]
        self._useful = self._useful or len(wrong) < len(replies)
        self._failed += len(wrong)
        own = all(isinstance(r, Filtered | PromptTooLong) for r in wrong)
        if not self._useful and self._failed >= (MANY_OWN if own else MANY):
            raise EngineError(
                f"{self._name} gave no usable verdict on any of {self._failed} answers: {_shown(wrong[0])}. "
                f"{_remedy(wrong[0])}"
            )
        if wrong and len(wrong) * 10 >= len(replies):
            self._warn(
                f"{self._name}: {len(wrong)} of {len(replies)} answers stay unjudged: {_shown(wrong[0])}"
            )

    # ---- requests

    def _judge_request(self, system: Message, exchange: Exchange) -> _Request:
        prompt = clean(exchange.prompt.dialogue, self._text_limit)
        answer = clean(exchange.response.text, self._text_limit)
        mark = mark_for([prompt, answer], self._params.seed)
        shown = render("judge_exchange", mark=mark, prompt=prompt, answer=answer)
        return _Request((system, Message("user", shown)), mark)

    def _propose_request(self, failures: Sequence[Failure], known: Sequence[str]) -> _Request:
        share = self._share(len(failures))
        facts = [
            {
                "question": clean(f.prompt.dialogue, share),
                "answer": clean(f.response.text, share),
                "categories": one_line(clean(", ".join(f.verdict.categories) or f.category, 100)),
            }
            for f in failures
        ]
        rules = self._latest([one_line(clean(text, 500), 500) for text in known])
        mark = mark_for([*(v for f in facts for v in f.values()), *rules], self._params.seed)
        over_refusal = all(f.over_refusal for f in failures)
        system = Message("system", render("propose", limit=self._max_principles, over_refusal=over_refusal))
        words = render("propose_failures", mark=mark, failures=facts, principles=rules)
        return _Request((system, Message("user", words)), mark)

    def _share(self, failures: int) -> int:
        """Characters for each text of a cluster: fewer failures are shown in full, more of them in part."""
        return max(200, min(self._text_limit, self._cluster_limit // (2 * failures)))

    def _fitting(self, failures: Sequence[Failure]) -> list[Failure]:
        """As many failures, in order, as the limit holds at the least share each."""
        return list(failures[: max(1, self._cluster_limit // 400)])

    def _latest(self, rules: Sequence[str]) -> list[str]:
        """The rules in force as far as half a cluster's room goes, in order; the latest are kept."""
        room = self._cluster_limit // 2
        kept = 0
        for rule in reversed(rules):
            room -= len(rule)
            if room < 0:
                break
            kept += 1
        return list(rules[len(rules) - kept :])

    # ---- replies

    def _ask(
        self, generator: Generator, requests: Sequence[_Request], shape: type[R], schema: Mapping[str, Any]
    ) -> list[R | Unusable | EngineError]:
        """One validated reply per request, in order; after a repair request, the reason why there is none."""
        replies = self._round(generator, requests, shape, schema)
        again = [
            (i, reply)
            for i, (_, reply) in enumerate(replies)
            if isinstance(reply, Unusable) and not isinstance(reply, _Cut)
        ]
        repairs = [_repair(requests[i], replies[i][0], problem) for i, problem in again]
        repaired = self._round(generator, repairs, shape, schema)
        found = [reply for _, reply in replies]
        for (i, _), (_, reply) in zip(again, repaired, strict=True):
            found[i] = (
                Unusable(f"no usable reply, also after a repair request: {reply}")
                if isinstance(reply, Unusable)
                else reply
            )
        return found

    def _round(
        self, generator: Generator, requests: Sequence[_Request], shape: type[R], schema: Mapping[str, Any]
    ) -> list[tuple[str, R | Unusable | EngineError]]:
        chats = [r.chat for r in requests]
        outcomes = ask(generator, chats, self._params, schema, self._warn, self._name)
        return [
            self._read(outcome, request.mark, shape)
            for outcome, request in zip(outcomes, requests, strict=True)
        ]

    def _read(
        self, outcome: Completion | EngineError, mark: str, shape: type[R]
    ) -> tuple[str, R | Unusable | EngineError]:
        if said_nothing(outcome):
            return "", _Cut(no_room(self._params.max_new_tokens))
        if isinstance(outcome, EngineError):
            return "", outcome
        try:
            return outcome.text, read(outcome.text, mark, shape)
        except Unusable as problem:
            was_cut = (
                f" (it was cut at {self._params.max_new_tokens} tokens: be brief)"
                if outcome.finish == "length"
                else ""
            )
            return outcome.text, Unusable(f"{problem}{was_cut}")

    def _verdict(self, exchange: Exchange, reply: Judgement | Unusable | EngineError) -> Verdict:
        facts: dict[str, Any] = {
            "response_id": exchange.response.id,
            "oracle": self._name,
            "template": self._version,
        }
        if not isinstance(reply, Judgement):
            return Verdict(label="unjudged", rationale=_shown(reply), **facts)
        improper = reply.label == "improper"
        return Verdict(
            label=reply.label,
            categories=self._known(reply.categories) if improper else (),
            aspect=reply.aspect if improper else "harmless",
            severity=(1 if reply.severity is None else reply.severity) if improper else 0,
            refusal=reply.refusal,
            compliance=reply.compliance,
            on_topic=reply.on_topic,
            rationale=one_line(reply.rationale),
            **facts,
        )

    def _known(self, names: Sequence[str]) -> tuple[str, ...]:
        """The categories named that exist; ``other`` where none does."""
        spelled = {name.casefold(): name for name in self._categories}
        found = [spelled[n.strip().casefold()] for n in names if n.strip().casefold() in spelled]
        return tuple(dict.fromkeys(found)) or (OTHER,)

    def _principles(self, reply: Proposal, shown: Sequence[Failure], known: Sequence[str]) -> list[Principle]:
        taken = {runs(text) for text in known}
        found: list[Principle] = []
        for proposed in reply.principles[: self._max_principles]:
            text = _NUMBERING.sub("", one_line(clean(proposed.text, 2000), 2000)).strip("\"' ")
            if not _MIN_WORDS <= len(text.split()) <= _MAX_WORDS or runs(text) in taken:
                continue
            taken.add(runs(text))
            cited = [shown[n - 1] for n in dict.fromkeys(proposed.examples) if 1 <= n <= len(shown)] or list(
                shown
            )
            category = Counter(f.category for f in cited).most_common(1)[0][0]
            found.append(
                Principle(
                    text=text, category=category, evidence=tuple(dict.fromkeys(f.response.id for f in cited))
                )
            )
        return found


TEMPLATE = version("judge", "judge_exchange", "oracle_repair")
PROPOSING = version("propose", "propose_failures", "oracle_repair")


def _shown(reply: object) -> str:
    """Why there is no usable reply, on one line; it begins with ``filtered`` where a filter did it."""
    return one_line(f"filtered: {reply}" if isinstance(reply, Filtered) else str(reply))


def _remedy(reply: object) -> str:
    if isinstance(reply, _Cut):
        return "Nothing was judged"
    if isinstance(reply, Filtered):
        return "Take a judge whose server lets such texts through"
    if isinstance(reply, EngineError):
        return "Mend what the server complains of, or take another model or server"
    return "Take a model that can follow the form of a reply (its replies are in the run's ledger)"


def _repair(request: _Request, reply: str, problem: Unusable) -> _Request:
    said = Message("assistant", clean(reply, 2000).strip() or "(nothing)")
    return _Request(
        (*request.chat, said, Message("user", render("oracle_repair", problem=problem, mark=request.mark))),
        request.mark,
    )
