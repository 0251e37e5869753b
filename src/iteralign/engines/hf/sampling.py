"""How a token is drawn: a penalty, then temperature and top-p, then noise.

The penalty makes repeated runs of tokens less likely; the noise is from each chat's own random stream (the
Gumbel-max trick). Knows logits, not chats.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from iteralign.records.chat import SamplingParams

SMALLEST = 1e-30
"""Exponential noise is kept above it: the logarithm of an exact zero would make a forbidden token NaN."""
HEAD = 256
"""Tokens that top-p looks at first: they nearly always hold its share, and to sort a whole vocabulary costs
more than a step of a small model.
"""
RUNS = (3, 4)
"""Tokens in a row whose repetition ``ngram_penalty`` makes less likely, each length for itself."""


def processors(params: SamplingParams, seeds: Sequence[int], width: int, device: str) -> list[Any]:
    """What is done to the logits of a batch, in order.

    ``width``: tokens of the prompts, which are no part of the answers.
    """
    penalty = [_penalty(params.ngram_penalty, len(seeds), width)] if params.ngram_penalty else []
    return [*penalty, *(_sampler(params, seeds, device) if params.temperature > 0 else [])]


def _penalty(amount: float, rows: int, width: int) -> Any:
    """Takes ``amount`` from the logit of a token for each length of run that it would complete once more."""
    from transformers import LogitsProcessor

    class NgramPenalty(LogitsProcessor):  # type: ignore[misc]
        def __init__(self) -> None:
            self.followers: list[dict[tuple[int, ...], set[int]]] = [{} for _ in range(rows)]

        def __call__(self, input_ids: Any, scores: Any) -> Any:
            for row, (ids, followers) in enumerate(
                zip(input_ids[:, width:].tolist(), self.followers, strict=True)
            ):
                for run in RUNS:
                    if len(ids) >= run:  # the run that the last token completed
                        followers.setdefault(tuple(ids[-run:-1]), set()).add(ids[-1])
                for run in RUNS:
                    if len(ids) >= run - 1 and (known := followers.get(tuple(ids[len(ids) - run + 1 :]))):
                        scores[row, sorted(known)] -= amount
            return scores

    return NgramPenalty()


def _top_p(share: float) -> Any:
    """Forbids all but the likeliest tokens that together hold ``share`` of the probability; ties stay."""
    import torch
    from transformers import LogitsProcessor

    class TopP(LogitsProcessor):  # type: ignore[misc]
        def __call__(self, input_ids: Any, scores: Any) -> Any:
            total = scores.float().logsumexp(-1, keepdim=True)  # (batch, 1)
            for head in (HEAD, scores.shape[-1]):
                top = scores.float().topk(min(head, scores.shape[-1])).values  # (batch, head), largest first
                shares = (top - total).exp()
                before = shares.cumsum(-1) - shares
                if head == scores.shape[-1] or bool((before[:, -1] >= share).all()):
                    break
            # logits that are no numbers have no likeliest token: the engine reports them
            last = ((before < share).sum(-1, keepdim=True) - 1).clamp(min=0)
            least = top.gather(-1, last)
            return scores.masked_fill(scores.float() < least, -torch.inf)

    return TopP()


def _sampler(params: SamplingParams, seeds: Sequence[int], device: str) -> list[Any]:
    """Temperature, top-p, and Gumbel noise.

    The largest sum is a draw from the distribution that the first two leave.
    """
    import torch
    from transformers import LogitsProcessor, TemperatureLogitsWarper

    streams = [torch.Generator(device=device).manual_seed(s) for s in seeds]

    class GumbelNoise(LogitsProcessor):  # type: ignore[misc]
        def __call__(self, input_ids: Any, scores: Any) -> Any:
            noise = torch.empty_like(scores, dtype=torch.float32)  # (batch, vocabulary)
            for row, stream in zip(noise, streams, strict=True):
                row.exponential_(generator=stream)
            return scores.float() - noise.clamp_(min=SMALLEST).log()

    warpers: list[Any] = (
        [] if params.temperature == 1.0 else [TemperatureLogitsWarper(float(params.temperature))]
    )
    return [
        *warpers,
        *([] if params.top_p >= 1.0 else [_top_p(params.top_p)]),
        GumbelNoise(),
    ]
