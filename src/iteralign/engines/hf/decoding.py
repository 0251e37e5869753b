"""The loop of a batch on a GPU: one pass over the prompts, then a recorded step for each further token.

Rows that have ended are dropped when what is left fits a smaller step. Knows tensors and token ids; when a
text ends an answer is asked of a function. For other devices transformers' own loop does the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from iteralign.engines.hf.arena import Arena, columns_for, rows_for
from iteralign.engines.hf.fused import Fused
from iteralign.engines.hf.watching import LOOK

_WIDTH = 32
"""Prompts are padded to a multiple of so many tokens, so that their pass has few shapes."""

Prefill = Callable[[int, int], tuple[Any, Any, Any, Any]]
"""(rows, width) -> token ids and mask (rows, width), cache, logits (rows, vocabulary) of the last column."""


class Decoder:
    """Decodes batches of one loaded model. ``record``: as CUDA graphs; without, the steps run plainly."""

    def __init__(self, model: Any, pad: int, *, record: bool) -> None:
        self._model = model
        self._pad = pad
        self._record = record
        self._fused: Fused | None = None
        self._arena: Arena | None = None

    def free(self) -> None:
        """Give back the memory of keys, values and recorded steps."""
        self._arena = None

    def decode(
        self,
        longest: int,
        count: int,
        new: int,
        prefill: Prefill,
        processors: Callable[[int], Sequence[Any]],
        ends: set[int],
        ended: Callable[[list[int]], bool] | None,
    ) -> list[list[int]]:
        """Up to ``new`` tokens for each of ``count`` prompts of at most ``longest`` tokens.

        ``processors``: by the width of the padded prompts, what is done to logits. ``ends``: tokens that end
        a row; ``ended``: whether the tokens of a row hold a text that does.
        """
        import torch

        rows = rows_for(count)
        width = -(-longest // _WIDTH) * _WIDTH
        arena = self._room(rows, width + new)
        ids, mask, cache, logits = prefill(rows, width)
        arena.fill(cache, mask)
        steps = processors(width)
        device = ids.device
        written = torch.full((count, width + new), self._pad, device=device)
        written[:, :width] = ids[:count]
        stops = torch.tensor(sorted(ends), device=device)
        done = torch.zeros(count, dtype=torch.bool, device=device)
        places = list(range(count))  # of the rows that are left, in the caller's order
        found: dict[int, list[int]] = {}
        for at in range(width, width + new):
            scores = logits[: len(places)].to(torch.float32, copy=True)
            for step in steps:
                scores = step(written[:, :at], scores)
            tokens = scores.argmax(-1).masked_fill_(done, self._pad)
            written[:, at] = tokens
            done |= torch.isin(tokens, stops)
            if at + 1 == width + new:
                break
            if (at + 1 - width) % LOOK == 0:
                left = self._left(written[:, width : at + 1], done, ended)
                if not left:
                    break
                fewer = rows_for(len(left))
                if fewer <= rows // 2:
                    gone = sorted(set(range(len(places))) - set(left))
                    found |= {places[r]: written[r, width:].tolist() for r in gone}
                    arena.ids[: len(places), 0] = tokens
                    arena.keep(left, fewer)
                    some = torch.tensor(left, device=device)
                    tokens, written, done = tokens[some], written[some], done[some]
                    for step in steps:
                        if hasattr(step, "keep"):
                            step.keep(left)
                    places = [places[r] for r in left]
                    rows = fewer
            arena.ids[: len(places), 0] = tokens
            logits = arena.step(rows)
        found |= dict(zip(places, written[:, width:].tolist(), strict=True))
        return [found[i] for i in range(count)]

    def _left(self, written: Any, done: Any, ended: Callable[[list[int]], bool] | None) -> list[int]:
        """The rows that go on; those that hold a text that ends them are marked as done."""
        left = [r for r, over in enumerate(done.tolist()) if not over]
        if ended is None or not left:
            return left
        over = {r for r, row in zip(left, written[left].tolist(), strict=True) if ended(row)}
        if over:
            done[sorted(over)] = True
        return [r for r in left if r not in over]

    def _room(self, rows: int, columns: int) -> Arena:
        """The arena, or a new one where the batch has no room in it, without what was recorded in the old."""
        if self._arena is None or not self._arena.fits(rows, columns):
            self._arena = None  # before the new one is made
            self._fused = self._fused or Fused(self._model)
            self._arena = Arena(self._model, self._fused, rows, columns_for(columns), record=self._record)
        return self._arena
