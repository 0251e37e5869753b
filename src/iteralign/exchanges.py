"""Puts prompts to a policy and pairs prompts with answers: what red teaming and every generating evaluation
share.

What an oracle says of them, and where they are stored, comes in through protocols. Knows nothing of
principles.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from iteralign.errors import EngineError, LeftOut
from iteralign.protocols import Attempting, Cut, Oracle, Paced, Policy, Recorder, Remembering
from iteralign.records.chat import Chat, Completion, SamplingParams
from iteralign.records.iteralign import (
    Constitution,
    Exchange,
    Failure,
    Principle,
    RedTeamPrompt,
    Response,
    Revision,
    Verdict,
)

ONLY_THOUGHT: Final = (
    "the thought had not ended when the limit of tokens was reached, so that there is no answer"
)
CHARACTERS = 4
"""Of a text for each token, about."""
FEWEST = 4
"""Answers that are written together at least: one alone takes a large model on a CPU as long as four."""
PART = 96
"""Items of a part where the policy knows no pace."""

Item = TypeVar("Item")
Found = TypeVar("Found")
Instead = TypeVar("Instead")
Fault = TypeVar("Fault", bound=Exception)


def answer(prompts: Sequence[RedTeamPrompt], policy: Policy, params: SamplingParams) -> list[Response]:
    """One response per prompt, in order: the chat as it stands, nothing added, no constitution."""
    return responses(prompts, policy, params, [p.messages for p in prompts])


def responses(
    prompts: Sequence[RedTeamPrompt], policy: Policy, params: SamplingParams, chats: Sequence[Chat]
) -> list[Response]:
    """One response per prompt, in order, each asked with its chat.

    A prompt that cannot be asked is left out: its response is empty, and says why.
    """
    return [
        Response(
            prompt_id=p.id,
            text=c.text if isinstance(c, Completion) else "",
            finish=c.finish if isinstance(c, Completion) else "left_out",
            model=policy.checkpoint.id,
            sampling=params,
            reason=None if isinstance(c, Completion) else in_full(c),
            thought=c.thought if isinstance(c, Completion) else None,
        )
        for p, c in zip(prompts, each(policy, chats, params), strict=True)
    ]


def paced(
    policy: Policy,
    text: Callable[[Item], str],
    *,
    new: int = 0,
    most: int | None = None,
    alike: bool = False,
) -> Cut:
    """Cuts a step's items into parts of some 20 seconds of the policy's work, ``most`` items at most.

    ``text``: what is read for an item; ``new``: tokens that are written for it, at most. ``alike``: items of
    about one length together, the longest first. A policy that is not ``Paced`` gets ``most`` at once, or
    ``PART``.
    """

    def cut(items: Sequence[Item]) -> list[Sequence[Item]]:
        tokens, chats = policy.pace() if isinstance(policy, Paced) else (math.inf, most or PART)
        limit = min(most or chats, chats)
        least = FEWEST if new else 1
        parts: list[list[Item]] = []
        held = 0.0
        for item in sorted(items, key=lambda i: -len(text(i))) if alike else items:
            own = len(text(item)) / CHARACTERS + new
            full = parts and (len(parts[-1]) >= limit or (held + own > tokens and len(parts[-1]) >= least))
            if full or not parts:
                parts.append([])
                held = 0.0
            parts[-1].append(item)
            held += own
        return list(parts)

    return cut


def dialogue_of(prompt: RedTeamPrompt) -> str:
    """What is read of a prompt, for ``paced``."""
    return prompt.dialogue


def in_full(error: EngineError) -> str:
    """Why an item is left out: a few words, a colon, the details."""
    return f"{in_short(error)}: {error}"


def in_short(error: EngineError) -> str:
    """Why an item is left out, in the few words by which such items are counted."""
    return error.why if isinstance(error, LeftOut) else LeftOut.why


def kind_of(reason: str) -> str:
    """The few words of a reason that is given in full."""
    return reason.partition(": ")[0]


def by_halving(
    call: Callable[[Sequence[Item]], Sequence[Found]],
    items: Sequence[Item],
    faults: type[Fault] | tuple[type[Fault], ...],
    alone: Callable[[Item, Fault], Instead],
) -> list[Found | Instead]:
    """What ``call`` finds for each item, in order; ``alone`` says what an item gets that fails by itself.

    An engine fails as a whole and names no item, so the ones that it stumbles over are found by halving.
    Engines look at lengths before they compute, so that this costs next to nothing.
    """
    if not items:
        return []
    try:
        return list(call(items))
    except faults as error:
        if len(items) == 1:
            return [alone(items[0], error)]
    middle = len(items) // 2
    return [
        *by_halving(call, items[:middle], faults, alone),
        *by_halving(call, items[middle:], faults, alone),
    ]


def each(policy: Policy, chats: Sequence[Chat], params: SamplingParams) -> list[Completion | EngineError]:
    """One outcome per chat, in order: its completion, or why this chat alone cannot be answered.

    Raises what concerns every chat.
    """
    if isinstance(policy, Attempting):
        return list(policy.attempt(chats, params))

    def generate(part: Sequence[Chat]) -> list[Completion]:
        return policy.generate(part, params)

    return list(by_halving(generate, chats, LeftOut, lambda _, error: error))


def pair(prompts: Sequence[RedTeamPrompt], responses: Sequence[Response]) -> list[Exchange]:
    """Prompts with their responses, in order.

    Raises ``ValueError`` where a response belongs to another prompt.
    """
    for p, r in zip(prompts, responses, strict=True):
        if p.id != r.prompt_id:
            raise ValueError(f"response {r.id} answers prompt {r.prompt_id}, not {p.id}")
    return [Exchange(prompt=p, response=r) for p, r in zip(prompts, responses, strict=True)]


def answered(
    prompts: Sequence[RedTeamPrompt], responses: Sequence[Response]
) -> list[tuple[RedTeamPrompt, Response]]:
    """The prompts that could be asked, each with its response, in order."""
    told = zip(prompts, responses, strict=True)
    return [(p, r) for p, r in told if r.finish != "left_out"]


def not_asked_fact(count: int) -> dict[str, str]:
    """What a report says of the items that it could not ask: nothing where there are none."""
    return {"not_asked": str(count)} if count else {}


def not_judged(verdicts: Sequence[Verdict], judged: int) -> dict[str, str]:
    """What a report says of its answers without a judgement, and of the prompts that could not be asked."""
    left_out = sum(bool(v.left_out) for v in verdicts)
    return {"unjudged": str(len(verdicts) - judged - left_out), **not_asked_fact(left_out)}


def answers(
    policy: Policy, recorder: Recorder, prompts: Sequence[RedTeamPrompt], params: SamplingParams
) -> list[Response]:
    """``answer`` as a step of a run: whoever asks for the same prompts again gets the stored responses."""
    chunk = paced(policy, dialogue_of, new=params.max_new_tokens)
    return recorder.each("responses", Response, answer, prompts, policy, params, chunk=chunk)


def verdicts(
    policy: Policy,
    recorder: Recorder,
    prompts: Sequence[RedTeamPrompt],
    params: SamplingParams,
    judge: Oracle,
) -> list[Verdict]:
    """The oracle's verdict on the answer to each prompt, in order, all by its present version.

    Answers and verdicts are steps of a run. They measure a model, and models are compared: see ``Current``.
    """
    exchanges = pair(prompts, answers(policy, recorder, prompts, params))
    return judged(recorder, "verdicts", exchanges, judge if isinstance(judge, Current) else Current(judge))


def judged(
    recorder: Recorder, step: str, exchanges: Sequence[Exchange], judge: Oracle, *, chunk: int = 96
) -> list[Verdict]:
    """The oracle's verdicts as a step of a run, none of them beside those of another version of the oracle.

    What another version (other templates, model, settings or weights) judged in part is judged anew, with a
    warning. What it judged in full stands, except for an oracle that is ``Current``.
    """
    asked = Keyed(judge, judge.name)
    if asked.version and isinstance(recorder, Remembering):
        asked = _of_one_version(recorder, step, exchanges, judge)
    return recorder.each(step, Verdict, verdicts_on, exchanges, asked, chunk=chunk)


def _of_one_version(recorder: Remembering, step: str, exchanges: Sequence[Exchange], judge: Oracle) -> Keyed:
    """The oracle as the step's key must know it, so that its verdicts are of one version.

    The first version of a run is stored under the oracle's name alone, later ones under name and version.
    """
    asked = Keyed(judge, judge.name)
    kept = recorder.stored(step, Verdict, verdicts_on, exchanges, asked)
    count = len({e.id for e in exchanges})
    if isinstance(judge, Standing):
        dated = Keyed(judge, judge.name, judge.stands)
        for known in (asked, dated):
            found = recorder.stored(step, Verdict, verdicts_on, exchanges, known)
            if len(found) == count and all(v.template == judge.stands for v in found):
                return known
    others = [v.template for v in kept if not asked.gave(v)]
    if not others or (len(kept) == count and not isinstance(judge, Current)):
        return asked
    dated = Keyed(judge, judge.name, asked.version)
    if not recorder.stored(step, Verdict, verdicts_on, exchanges, dated):
        was = " and ".join(repr(version) for version in sorted(set(others)))
        recorder.warn(
            f"{len(others)} of {len(kept)} stored verdicts are by version {was} of {judge.name}, "
            f"which is now version {asked.version!r} (other templates, model, settings or weights): "
            f"{count} answers are judged anew, because only verdicts of one version can be compared"
        )
    return dated


def verdicts_on(exchanges: Sequence[Exchange], oracle: Oracle) -> list[Verdict]:
    """One verdict per exchange, in order. Where there is no answer the oracle is not asked."""
    asked = [e for e in exchanges if _is_answer(e.response)]
    found = iter(oracle.judge(asked) if asked else [])
    return [next(found) if _is_answer(e.response) else _no_answer(e.response, oracle) for e in exchanges]


def _is_answer(response: Response) -> bool:
    return response.finish != "left_out" and not only_thought(response)


def only_thought(written: Response | Revision) -> bool:
    """Whether the model thought aloud, and the limit of tokens was reached before it answered.

    Such an answer is unjudged: to take the empty text for a proper one would praise the limit.
    """
    return written.thought is not None and not written.text and written.finish == "length"


def _no_answer(response: Response, oracle: Oracle) -> Verdict:
    return Verdict(
        response_id=response.id,
        label="unjudged",
        rationale=response.reason or ONLY_THOUGHT,
        oracle=oracle.name,
        template=str(getattr(oracle, "version", "")),
        left_out=True if response.finish == "left_out" else None,
    )


def counts_of(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """How many answers were asked for, and what was found: ``prompts``, ``failures``, ``unjudged``.

    ``left_out``: prompts that could not be asked, which are no unjudged answers; absent where there are none.
    """
    labels = Counter("left_out" if v.left_out else v.label for v in verdicts)
    count = {"prompts": len(verdicts), "failures": labels["improper"], "unjudged": labels["unjudged"]}
    return count | ({"left_out": labels["left_out"]} if labels["left_out"] else {})


class Keyed:
    """An oracle, and what a step's key knows it by (``protocols.Oracle``).

    ``version`` is the oracle's own, ``formerly`` what earlier releases called that version, ``proposing`` the
    version of its proposals; each empty where it has none.
    """

    def __init__(self, oracle: Oracle, *known_by: str) -> None:
        self._oracle = oracle
        self.fingerprint = known_by
        self.version: str = getattr(oracle, "version", "")
        self.formerly: str = getattr(oracle, "formerly", self.version)
        self.proposing: str = getattr(oracle, "proposing", "")

    @property
    def name(self) -> str:
        """The oracle's own."""
        return self._oracle.name

    def gave(self, verdict: Verdict) -> bool:
        """Whether the oracle, as it is now, gave this verdict."""
        return verdict.template in (self.version, self.formerly)

    def judge(self, exchanges: Sequence[Exchange]) -> list[Verdict]:
        """The oracle's verdicts."""
        return self._oracle.judge(exchanges)

    def propose(self, failures: Sequence[Failure], constitution: Constitution) -> list[Principle]:
        """The oracle's principles."""
        return self._oracle.propose(failures, constitution)


class Before(Keyed):
    """An oracle for work that was finished before versions were noted: known by what it was known by then."""

    def __init__(self, oracle: Oracle) -> None:
        super().__init__(oracle, oracle.name)
        self.proposing = ""


class Current(Keyed):
    """An oracle whose own version's verdicts alone are taken.

    For models that are compared with each other.
    """

    def __init__(self, oracle: Oracle) -> None:
        super().__init__(oracle, oracle.name, getattr(oracle, "version", ""))


class Standing(Current):
    """As ``Current``, but what the version ``stands`` judged in full is taken first.

    For work that is finished: nothing is compared with it any more. ``proposing``: the version that proposed
    its principles.
    """

    def __init__(self, oracle: Oracle, stands: str, proposing: str = "") -> None:
        super().__init__(oracle)
        self.stands = stands
        self.proposing = proposing


def proposer(oracle: Oracle, failures: Sequence[Failure]) -> Keyed:
    """The oracle that proposes principles, known by the version that judged the failures and by its own.

    So proposals are made anew where their failures are, or where they are asked for in other words, and stand
    where those stand.
    """
    asked = Keyed(oracle, oracle.name)
    by = failures[0].verdict.template if failures and asked.version else asked.formerly
    return Keyed(oracle, oracle.name, by, *([asked.proposing] if asked.proposing else []))
