"""Looks on while a batch is written: for logits that are no numbers, and for texts that end an answer.

Knows neither chats nor tokenizers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

LOOK = 8
"""Steps between two looks at which rows have ended: each waits for the device."""
DAMAGED = "the weights are damaged, or too large for the precision (model.dtype = float32 would tell)"


def watch_of(rows: int, device: str) -> Any:
    """Remembers, without waiting for the device, which rows ever had logits that are no numbers."""
    import torch
    from transformers import LogitsProcessor

    class Watch(LogitsProcessor):  # type: ignore[misc]
        bad: Any
        places: Any

        def begin(self) -> None:
            self.bad = torch.zeros(rows, dtype=torch.bool, device=device)
            self.places = torch.arange(rows, device=device)

        def keep(self, rows: Sequence[int]) -> None:
            self.places = self.places[torch.tensor(rows, device=device)]

        def __call__(self, input_ids: Any, scores: Any) -> Any:
            self.bad[self.places] |= torch.isnan(scores).any(-1) | torch.isposinf(scores).any(-1)
            return scores

    return Watch()


def texts_of(width: int, ended: Callable[[list[int]], bool]) -> Any:
    """Ends the rows that hold a text which ends an answer; looked for now and then."""
    import torch
    from transformers import StoppingCriteria

    class Texts(StoppingCriteria):  # type: ignore[misc]
        def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
            written = input_ids[:, width:]
            if written.shape[1] % LOOK:
                return torch.zeros(len(written), dtype=torch.bool, device=written.device)
            return torch.tensor([ended(row) for row in written.tolist()], device=written.device)

    return Texts()
