"""Puts chats to a generator, and gives a reply more room once where it was cut before it said anything.

Models that think first spend the limit of tokens on thoughts. Which replies get more room depends on the
reply alone, so that a resumed run asks the same. Knows nothing of judging.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from iteralign.chat.thoughts import unfinished
from iteralign.errors import CutShort, EngineError, Filtered, PromptTooLong
from iteralign.exchanges import by_halving
from iteralign.protocols import Generator, StructuredGenerator
from iteralign.records.chat import Chat, Completion, SamplingParams

MORE = 4
"""How many times the limit a reply gets that was cut before it said anything."""
Outcome = Completion | EngineError


def ask(
    generator: Generator,
    chats: Sequence[Chat],
    params: SamplingParams,
    schema: Mapping[str, Any],
    warn: Callable[[str], None],
    name: str,
) -> list[Outcome]:
    """One outcome per chat, in order. ``name``: of the model, for the warning."""
    if not chats:
        return []
    outcomes = list(_attempt(generator, chats, params, schema))
    mute = [i for i, outcome in enumerate(outcomes) if said_nothing(outcome)]
    if not mute:
        return outcomes
    limit = MORE * params.max_new_tokens
    warn(
        f"{name}: {len(mute)} of {len(chats)} replies ended at {params.max_new_tokens} tokens and said "
        f"nothing (does the model think first?): asking again with {limit}. "
        f"oracle.max_tokens = {limit} saves the first request"
    )
    more = replace(params, max_new_tokens=limit)
    again = _attempt(generator, [chats[i] for i in mute], more, schema)
    for i, outcome in zip(mute, again, strict=True):
        outcomes[i] = outcome
    return outcomes


def said_nothing(outcome: Outcome) -> bool:
    """Whether the limit of tokens was reached before the model said anything but a thought."""
    if not isinstance(outcome, Completion):
        return isinstance(outcome, CutShort)
    return outcome.finish == "length" and (not outcome.text.strip() or unfinished(outcome.text))


def no_room(limit: int) -> str:
    """Why a reply that said nothing is of no use, and the remedy."""
    return (
        f"the reply said nothing within {MORE * limit} tokens: raise oracle.max_tokens "
        f"(a model that thinks first needs room), or take a model that thinks less"
    )


def _attempt(
    generator: Generator, chats: Sequence[Chat], params: SamplingParams, schema: Mapping[str, Any]
) -> Sequence[Outcome]:
    """One outcome per chat, in order; a plain generator fails as a whole (``by_halving``)."""
    if isinstance(generator, StructuredGenerator):
        return generator.attempt(chats, params, schema)
    faults: tuple[type[EngineError], ...] = (PromptTooLong, Filtered, CutShort)
    return by_halving(lambda part: generator.generate(part, params), chats, faults, lambda _, error: error)
