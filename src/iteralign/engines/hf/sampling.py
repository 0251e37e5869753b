"""How a token is drawn: a penalty, then temperature and top-p, then noise.

The penalty makes repeated runs of tokens less likely; the noise is from each chat's own random stream (the
Gumbel-max trick; decisions 4 and 18). Knows logits, not chats.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from iteralign.records.chat import SamplingParams

SMALLEST = 1e-30
"""Exponential noise is kept above it: the logarithm of an exact zero would make a forbidden token NaN."""
HEAD = 256
"""Tokens that top-p looks at first: they nearly always hold its share, and to sort a whole vocabulary costs
more than a step of a small model.
"""
RUNS = (3, 4)
"""Tokens in a row whose repetition ``ngram_penalty`` makes less likely, each length for itself."""


Streams = Literal["generators", "counters"]
"""Where a row's noise comes from: a generator of the library for each row, or a hash of the row's seed, the
number of the token in the answer and the place in the vocabulary, for all rows in one go.
"""
_WORD = (1 << 64) - 1


def streams_of(device: str) -> Streams:
    """What new runs take: on the CPU what they always took."""
    return "generators" if device == "cpu" else "counters"


def processors(
    params: SamplingParams,
    seeds: Sequence[int],
    width: int,
    device: str,
    streams: Streams = "generators",
) -> list[Any]:
    """What is done to the logits of a batch, in order.

    ``width``: tokens of the prompts, which are no part of the answers. Each has ``keep``, which lets some
    rows go on alone.
    """
    penalty = [_penalty(params.ngram_penalty, len(seeds), width)] if params.ngram_penalty else []
    return [*penalty, *(_sampler(params, seeds, device, streams) if params.temperature > 0 else [])]


def _penalty(amount: float, rows: int, width: int) -> Any:
    """Takes ``amount`` from the logit of a token for each length of run that it would complete once more."""
    from transformers import LogitsProcessor

    class NgramPenalty(LogitsProcessor):  # type: ignore[misc]
        def __init__(self) -> None:
            self.followers: list[dict[tuple[int, ...], set[int]]] = [{} for _ in range(rows)]

        def keep(self, rows: Sequence[int]) -> None:
            self.followers = [self.followers[r] for r in rows]

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


def _sampler(params: SamplingParams, seeds: Sequence[int], device: str, streams: Streams) -> list[Any]:
    """Temperature, top-p, and Gumbel noise.

    The largest sum is a draw from the distribution that the first two leave.
    """
    from transformers import TemperatureLogitsWarper

    warpers: list[Any] = (
        [] if params.temperature == 1.0 else [TemperatureLogitsWarper(float(params.temperature))]
    )
    return [
        *warpers,
        *([] if params.top_p >= 1.0 else [_top_p(params.top_p)]),
        (_generators if streams == "generators" else _counters)(seeds, device),
    ]


def _generators(seeds: Sequence[int], device: str) -> Any:
    """Noise from a generator for each row: one launch a row."""
    import torch
    from transformers import LogitsProcessor

    class Generators(LogitsProcessor):  # type: ignore[misc]
        def __init__(self) -> None:
            self.streams = [torch.Generator(device=device).manual_seed(s) for s in seeds]

        def keep(self, rows: Sequence[int]) -> None:
            self.streams = [self.streams[r] for r in rows]

        def __call__(self, input_ids: Any, scores: Any) -> Any:
            noise = torch.empty_like(scores, dtype=torch.float32)  # (batch, vocabulary)
            for row, stream in zip(noise, self.streams, strict=True):
                row.exponential_(generator=stream)
            return scores.float() - noise.clamp_(min=SMALLEST).log()

    return Generators()


def _counters(seeds: Sequence[int], device: str) -> Any:
    """Noise from a hash of seed, number of the token and place in the vocabulary: one pass over all rows.

    SplitMix64 (Steele, Lea and Flood, 2014): the output function of a counter that goes up by an odd number.
    """
    import torch
    from transformers import LogitsProcessor

    class Counters(LogitsProcessor):  # type: ignore[misc]
        def __init__(self) -> None:
            self.step = 0
            # hashed once, so that neighbouring seeds begin far apart
            self.seeds = _mixed(torch.tensor([_signed(s) for s in seeds], device=device)[:, None])

        def keep(self, rows: Sequence[int]) -> None:
            self.seeds = self.seeds[torch.tensor(rows, device=device)]

        def __call__(self, input_ids: Any, scores: Any) -> Any:
            vocabulary = scores.shape[-1]
            first = self.step * vocabulary + 1
            self.step += 1
            places = torch.arange(first, first + vocabulary, device=device)
            words = _mixed(self.seeds + places * _GOLDEN)  # (batch, vocabulary), 64 bits each
            # 40 bits: in float32 a small number keeps its precision, and small ones decide who is drawn
            share = ((words >> 24) & ((1 << 40) - 1)).float().add_(0.5).mul_(2.0**-40)
            noise = share.clamp_(max=1 - 2.0**-24).neg_().log1p_().neg_()  # exponential
            return scores.float() - noise.log_()

    return Counters()


def _signed(word: int) -> int:
    """64 bits as torch has them."""
    word &= _WORD
    return word - (1 << 64) if word >> 63 else word


_GOLDEN = _signed(0x9E3779B97F4A7C15)


def _mixed(words: Any) -> Any:
    """SplitMix64's output function for a tensor of 64-bit words; products wrap around."""
    words = (words ^ _shifted(words, 30)) * _signed(0xBF58476D1CE4E5B9)
    words = (words ^ _shifted(words, 27)) * _signed(0x94D049BB133111EB)
    return words ^ _shifted(words, 31)


def _shifted(words: Any, by: int) -> Any:
    """Shifted to the right, with zeros for the sign."""
    return (words >> by) & (_WORD >> by)
