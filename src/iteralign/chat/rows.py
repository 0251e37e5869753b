"""What every engine that works on token ids does with a chat before it generates or scores: its seed, its
room, its answer's end.

Knows no model and no server.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeVar

from iteralign.chat.format import after_closing, encode_prompt, encode_training, opening, stops
from iteralign.chat.thoughts import marked
from iteralign.errors import LeftOut, PromptTooLong
from iteralign.records.chat import Chat, Finish, Message, SamplingParams

Found = TypeVar("Found")


def seeds(chats: Sequence[Chat], params: SamplingParams) -> list[int]:
    """A seed per chat, 56 bits.

    Made of the run's seed, the chat's text (or its last turn's, ``stream``) and its place among equal ones.
    """
    seen: Counter[Chat] = Counter()
    seed = params.seed
    found = []
    for whole in chats:
        chat = whole[-1:] if params.stream == "question" else whole
        text = json.dumps([seed, seen[chat], [[m.role, m.text] for m in chat]], ensure_ascii=True)
        found.append(int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big"))
        seen[chat] += 1
    return found


def prompts(
    tokenizer: Any, chats: Sequence[Chat], new: int, context: int
) -> tuple[dict[int, list[int]], dict[int, LeftOut]]:
    """Token ids of the chats that can be answered, by place, and why each other one cannot."""
    fitting: dict[int, list[int]] = {}
    left_out: dict[int, LeftOut] = {}
    for place, chat in enumerate(chats):
        try:
            ids = encode_prompt(tokenizer, chat)
            must_fit(chat, len(ids), new, context)
        except LeftOut as error:
            left_out[place] = error
        else:
            fitting[place] = ids
    return fitting, left_out


def all_of(outcomes: Sequence[Found | LeftOut]) -> list[Found]:
    """What was found for all chats. Raises the first ``LeftOut``."""
    done: list[Found] = []
    for outcome in outcomes:
        if isinstance(outcome, LeftOut):
            raise outcome
        done.append(outcome)
    return done


def must_fit(chat: Chat, prompt: int, new: int, context: int) -> None:
    """Raises ``PromptTooLong`` where ``prompt`` tokens and ``new`` ones exceed the context."""
    if prompt + new > context:
        raise PromptTooLong(
            f"the chat {opening(chat)} has {prompt} tokens and may be answered with {new}; the model's "
            f"context is {context}: "
            "shorten the prompt, show fewer principles (reflection.shown), or lower max_new_tokens"
        )


def spans(tokenizer: Any, chats: Sequence[Chat], continuations: Sequence[str]) -> list[tuple[list[int], int]]:
    """Token ids of each chat with its continuation, and where the continuation begins.

    Without the end of turn. What closes a thought that the template opened is no part of the continuation.
    """
    prompts = {chat: encode_prompt(tokenizer, chat) for chat in dict.fromkeys(chats)}
    found = []
    for chat, text in zip(chats, continuations, strict=True):
        ids, learnt = encode_training(tokenizer, (*chat, Message("assistant", text)), prompts[chat])
        found.append((ids[:-1], after_closing(tokenizer, ids[:-1], learnt.index(True))))
    return found


def answer_of(tokenizer: Any, tokens: Sequence[int], ends: set[int]) -> tuple[str, Finish, int]:
    """The answer that generated tokens are: its text, why it ended, and how many tokens of it count.

    Thoughts are in the text, between the tags that ``thoughts.part`` knows, also where they were tokens of
    channels.
    """
    end = next((i for i, t in enumerate(tokens) if t in ends), None)
    kept = list(tokens if end is None else tokens[:end])
    plain = tokenizer.decode(kept, skip_special_tokens=True)
    text, stopped = cut(tokenizer, marked(tokenizer, kept, plain))
    return text, "stop" if stopped or end is not None else "length", len(kept)


def cut(tokenizer: Any, text: str) -> tuple[str, bool]:
    """The text up to where the chat format ends an answer by words, and whether it was cut.

    Without white space around it.
    """
    cut_off = False
    for stop in stops(tokenizer):
        text, found, _ = text.partition(stop)
        cut_off = cut_off or bool(found)
    return text.strip(), cut_off
