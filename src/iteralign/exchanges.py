"""Puts prompts to a policy and pairs prompts with answers: what red teaming and every generating evaluation share.

What an oracle says of them, and where they are stored, comes in through protocols. Knows nothing of principles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from iteralign.errors import PromptTooLong
from iteralign.protocols import Oracle, Policy, Recorder
from iteralign.records import Chat, Completion, Exchange, PromptId, RedTeamPrompt, Response, SamplingParams, Verdict


def as_asked(prompt: RedTeamPrompt) -> Chat:
    """The chat of a prompt as it stands: nothing added, no constitution."""
    return prompt.messages


def answer(
    policy: Policy,
    params: SamplingParams,
    prompts: Sequence[RedTeamPrompt],
    chat: Callable[[RedTeamPrompt], Chat] = as_asked,
) -> list[Response]:
    """One response per prompt, in order; ``chat`` says how a prompt is put."""
    completions = policy.generate([chat(p) for p in prompts], params)
    return [
        Response(prompt_id=PromptId(p.id), text=c.text, finish=c.finish, model=policy.checkpoint.id, sampling=params)
        for p, c in zip(prompts, completions, strict=True)
    ]


def each(policy: Policy, chats: Sequence[Chat], params: SamplingParams) -> list[Completion | PromptTooLong]:
    """One outcome per chat, in order: its completion, or why it does not fit the model; found by halving, for a policy fails as a whole."""
    if not chats:
        return []
    try:
        return list(policy.generate(chats, params))
    except PromptTooLong as error:
        if len(chats) == 1:
            return [error]
    middle = len(chats) // 2
    return [*each(policy, chats[:middle], params), *each(policy, chats[middle:], params)]


def pair(prompts: Sequence[RedTeamPrompt], responses: Sequence[Response]) -> list[Exchange]:
    """Prompts with their responses, in order. Raises ``ValueError`` where a response belongs to another prompt."""
    for p, r in zip(prompts, responses, strict=True):
        if p.id != r.prompt_id:
            raise ValueError(f"response {r.id} answers prompt {r.prompt_id}, not {p.id}")
    return [Exchange(prompt=p, response=r) for p, r in zip(prompts, responses, strict=True)]


def answers(policy: Policy, recorder: Recorder, prompts: Sequence[RedTeamPrompt], params: SamplingParams) -> list[Response]:
    """``answer`` as a step of a run: whoever asks for the same prompts again gets the stored responses."""
    return recorder.each("responses", Response, prompts, partial(answer, policy, params), policy.checkpoint.id, params)


def verdicts(policy: Policy, recorder: Recorder, prompts: Sequence[RedTeamPrompt], params: SamplingParams, judge: Oracle) -> list[Verdict]:
    """The oracle's verdict on the answer to each prompt, in order; answers and verdicts are steps of a run."""
    exchanges = pair(prompts, answers(policy, recorder, prompts, params))
    return recorder.each("verdicts", Verdict, exchanges, judge.judge, judge.name)
