"""Small trials of what is faster than the plain way: whether it gives the same for this very model.

Knows a loaded model by what it scores and decodes, not its kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iteralign.engines.hf.room import lacks_memory
from iteralign.engines.hf.tree import tree_of
from iteralign.engines.weights import first_line
from iteralign.errors import EngineError
from iteralign.records.chat import Message

if TYPE_CHECKING:
    from iteralign.engines.hf.decoding import Decoder
    from iteralign.engines.hf.model import Loaded

TOLERANCE = {"float32": 1e-3, "float64": 1e-3}
"""Nats a token, that log-probabilities may differ from plain ones.

Other precisions: 0.3, what rounding alone may do.
"""
_CHAT = (Message("user", "a probe"),)
_CANNOT = (RuntimeError, ValueError, TypeError, IndexError, AttributeError, NotImplementedError, EngineError)


def tree_apart(loaded: Loaded) -> str:
    """Why continuations of one prompt cannot be scored as a tree; empty where they can."""
    # the second continuation begins as the first, so that the tree has a branch within one
    tokens = _any_tokens(loaded)
    prompt = tokens[:7]
    own = [tokens[7:11], [*tokens[7:9], *tokens[11:13]], tokens[12:14]]
    plain = loaded.score([_CHAT] * len(own), [([*prompt, *c], len(prompt)) for c in own])
    try:
        (found,) = loaded.score_trees([_CHAT], [tree_of(prompt, own)], [own])
    except _CANNOT as error:
        return f"it takes no such input ({type(error).__name__})"
    apart = max(
        abs(a - b)
        for x, y in zip(found, plain, strict=True)
        for a, b in zip(x.logprobs, y.logprobs, strict=True)
    )
    return "" if apart <= _tolerance(loaded) else f"its scores differ by {apart:.2g} nats a token"


def decoder_apart(loaded: Loaded, decoder: Decoder) -> str:
    """Why answers cannot be written by recorded steps; empty where they can.

    Two prompts of different length are continued greedily, and the tokens scored plainly.
    """
    import torch

    tokens = _any_tokens(loaded)
    prompts = [tokens[:9], tokens[:5]]
    seen: list[Any] = []

    def keep(ids: Any, scores: Any) -> Any:
        seen.append(torch.log_softmax(scores.float(), -1))
        return scores

    try:
        written = loaded.decoded(decoder, prompts, 0, 4, lambda width: [keep])
    except _CANNOT as error:
        if lacks_memory(error):
            raise
        return f"this model cannot be recorded ({first_line(error)})"
    rows = [row[: len(seen)] for row in written]
    plain = loaded.score([_CHAT] * 2, [([*p, *r], len(p)) for p, r in zip(prompts, rows, strict=True)])
    apart = max(
        abs(float(step[row, token]) - score.logprobs[n])
        for row, (own, score) in enumerate(zip(rows, plain, strict=True))
        for n, (step, token) in enumerate(zip(seen, own, strict=True))
        if not loaded.ends & set(own[:n])  # behind an end stands padding
    )
    if apart <= _tolerance(loaded):
        return ""
    return f"for this model they differ by {apart:.2g} nats a token"


def _tolerance(loaded: Loaded) -> float:
    return TOLERANCE.get(str(loaded.model.dtype).removeprefix("torch."), 0.3)


def _any_tokens(loaded: Loaded) -> list[int]:
    """Fourteen tokens spread over the vocabulary, behind the first three, which are often special."""
    first = 3
    vocabulary = loaded.model.config.get_text_config().vocab_size
    step = max(1, vocabulary // 17)
    return [first + (step * n) % max(1, vocabulary - first) for n in range(14)]
