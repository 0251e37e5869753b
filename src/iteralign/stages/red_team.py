"""Stage 1, red teaming: the model answers attack prompts with no constitution in its prompt (IterAlign,
section 3.1).

Knows nothing of oracles: whether an answer is improper is the next stage's question.
"""

from __future__ import annotations

from collections.abc import Sequence

from iteralign.exchanges import responses
from iteralign.prompts.render import Templates
from iteralign.protocols import Policy
from iteralign.records.chat import Chat, Message, SamplingParams
from iteralign.records.iteralign import RedTeamPrompt, Response

TEMPLATES = Templates("chain_of_utterances")


def red_team(
    prompts: Sequence[RedTeamPrompt],
    policy: Policy,
    params: SamplingParams,
    wrap: str = "plain",
    templates: Templates = TEMPLATES,
) -> list[Response]:
    """One answer per prompt, in order.

    ``wrap``: ``plain``, or ``chain-of-utterances`` (the question inside a dialogue of two agents).
    """
    chats = [p.messages if wrap == "plain" else _chain_of_utterances(p, templates) for p in prompts]
    return responses(prompts, policy, params, chats)


def _chain_of_utterances(prompt: RedTeamPrompt, templates: Templates) -> Chat:
    wrapped = Message("user", templates.render("chain_of_utterances", question=prompt.text))
    return tuple(wrapped if m is prompt.messages[-1] else m for m in prompt.messages)


def next_batch(prompts: Sequence[RedTeamPrompt], seen: int, size: int) -> list[RedTeamPrompt]:
    """The next ``size`` prompts that no iteration has used; fewer at the end of the data, none after it."""
    return list(prompts[seen : seen + size])


def in_turn(prompts: Sequence[RedTeamPrompt], turn: int, size: int) -> list[RedTeamPrompt]:
    """The prompts of a turn, counted from 1: after the last prompt the first one comes again.

    At most all of them; other weights answer the same prompts otherwise.
    """
    size = min(size, len(prompts))
    first = (turn - 1) * size
    return [prompts[i % len(prompts)] for i in range(first, first + size)]
