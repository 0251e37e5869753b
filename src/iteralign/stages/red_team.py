"""Stage 1, red teaming: the model answers attack prompts with no constitution in its prompt (IterAlign,
section 3.1).

Knows nothing of oracles: whether an answer is improper is the next stage's question.
"""

from __future__ import annotations

from collections.abc import Sequence

from iteralign.exchanges import answer, as_asked
from iteralign.prompts.render import render
from iteralign.protocols import Policy
from iteralign.records.chat import Chat, Message, SamplingParams
from iteralign.records.iteralign import RedTeamPrompt, Response


def red_team(
    policy: Policy, prompts: Sequence[RedTeamPrompt], *, params: SamplingParams, wrap: str = "plain"
) -> list[Response]:
    """One answer per prompt, in order. ``wrap``: ``plain``, or ``chain-of-utterances`` (the question inside a
    dialogue of two agents).
    """
    return answer(policy, params, prompts, chat=as_asked if wrap == "plain" else _chain_of_utterances)


def _chain_of_utterances(prompt: RedTeamPrompt) -> Chat:
    wrapped = Message("user", render("chain_of_utterances", question=prompt.text))
    return tuple(wrapped if m is prompt.messages[-1] else m for m in prompt.messages)


def next_batch(prompts: Sequence[RedTeamPrompt], seen: int, size: int) -> list[RedTeamPrompt]:
    """The next ``size`` prompts that no iteration has used; fewer at the end of the data, none after it."""
    return list(prompts[seen : seen + size])
