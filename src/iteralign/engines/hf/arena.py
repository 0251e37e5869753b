"""Keys and values of a batch at fixed places, and the step of one token for each row, recorded once.

A step's shapes come from few sizes (rows and columns are rounded up), so that a GPU plans and records it once
and replays it from then on: one launch instead of a thousand. Knows tensors, not how tokens are drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from iteralign.engines.hf.fused import Fused

_ROWS = (1, 2, 4, 8, 16, 24, 32, 48)
_COLUMNS = 128
ATTENTION = "iteralign_grouped"
"""The name by which transformers finds our attention of a single token."""


def rows_for(count: int) -> int:
    """Rows that a batch of so many is padded to; the padding is computed and thrown away."""
    return next((r for r in _ROWS if r >= count), -(-count // 32) * 32)


def columns_for(count: int) -> int:
    """Columns that attention reads for so many: a multiple of 128 at first, later of an eighth or more."""
    step = max(_COLUMNS, 1 << max(0, count.bit_length() - 3))
    return -(-count // step) * step


class Arena:
    """Memory for ``rows`` of at most ``columns`` tokens, and the steps that were recorded in it.

    Made, filled and used in inference mode. ``filled``: columns that hold tokens.
    """

    def __init__(self, model: Any, fused: Fused, rows: int, columns: int, *, record: bool) -> None:
        import torch

        self.rows = rows
        self.columns = columns
        self._model = model
        self._fused = fused
        self._record = record
        self._graphs: dict[tuple[int, int], tuple[Any, Any]] = {}
        self._pool: Any = None
        device = model.device
        self.ids = torch.zeros((rows, 1), dtype=torch.long, device=device)
        self._positions = torch.zeros((rows, 1), dtype=torch.long, device=device)
        self._column = torch.zeros((1,), dtype=torch.long, device=device)
        # additive, as eager attention wants it; (rows, 1, 1, columns)
        self._mask = torch.zeros((rows, 1, 1, columns), dtype=model.dtype, device=device)
        self._hidden = torch.finfo(model.dtype).min
        self._layers: list[tuple[Any, Any]] = []  # (rows, heads, columns, width) each
        self.filled = 0

    def fits(self, rows: int, columns: int) -> bool:
        """Whether a batch of this size has room."""
        return rows <= self.rows and columns <= self.columns

    def fill(self, cache: Any, mask: Any) -> None:
        """Take over a prompt's cache, layer by layer; ``mask``: (rows, width), 1 where a token is."""
        rows, width = mask.shape
        for place, layer in enumerate(cache.layers):
            if place == len(self._layers):
                self._layers.append(
                    tuple(
                        t.new_zeros((self.rows, t.shape[1], self.columns, t.shape[3]))
                        for t in (layer.keys, layer.values)
                    )
                )
            for own, given in zip(self._layers[place], (layer.keys, layer.values), strict=True):
                own[:rows, :, :width] = given
            layer.keys = layer.values = None
        self._positions[:rows] = mask.sum(-1, keepdim=True)
        self._mask.fill_(self._hidden)
        self._mask[:rows, 0, 0, :width].masked_fill_(mask.bool(), 0.0)
        self._column.fill_(width)
        self.filled = width

    def keep(self, places: Sequence[int], rows: int) -> None:
        """Go on with these rows alone, moved to the front, of which ``rows`` are computed."""
        import torch

        some = torch.tensor([*places, *[places[0]] * (rows - len(places))], device=self.ids.device)
        for tensor in (self.ids, self._positions, self._mask, *(t for pair in self._layers for t in pair)):
            tensor[:rows] = tensor[some]

    def step(self, rows: int) -> Any:
        """The logits (rows, vocabulary) after ``ids``, which take the next column. Valid until the next step.

        The first of a size is recorded. Raises what the device raises where it does not fit.
        """
        columns = min(columns_for(self.filled + 1), self.columns)
        if not self._record:
            logits = self._plain(rows, columns)
        else:
            if (rows, columns) not in self._graphs:
                self._graphs[rows, columns] = self._recorded(rows, columns)
            graph, logits = self._graphs[rows, columns]
            graph.replay()
        self.filled += 1
        return logits

    def _plain(self, rows: int, columns: int) -> Any:
        from transformers.cache_utils import Cache

        self._mask.index_fill_(3, self._column, 0.0)
        layer = _layer_class()
        parts = [(k[:rows, :, :columns], v[:rows, :, :columns]) for k, v in self._layers]
        with grouped(self._model.config), self._fused():
            logits = self._model(
                input_ids=self.ids[:rows],
                attention_mask=self._mask[:rows, :, :, :columns],
                position_ids=self._positions[:rows],
                past_key_values=Cache(layers=[layer(k, v, self._column) for k, v in parts]),
                use_cache=True,
            ).logits[:, -1]
        self._positions.add_(1)
        self._column.add_(1)
        return logits

    def _recorded(self, rows: int, columns: int) -> tuple[Any, Any]:
        import torch

        positions, column = self._positions.clone(), self._column.clone()
        beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):  # libraries plan and reserve what must not be recorded
            self._plain(rows, columns)
        torch.cuda.current_stream().wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            logits = self._plain(rows, columns)
        self._pool = self._pool or graph.pool()
        self._positions.copy_(positions)
        self._column.copy_(column)
        return graph, logits


def _layer_class() -> Any:
    """A layer of a cache that writes into memory which is there."""
    from transformers.cache_utils import StaticLayer

    class Placed(StaticLayer):  # type: ignore[misc]
        def __init__(self, keys: Any, values: Any, column: Any) -> None:
            super().__init__(max_cache_len=keys.shape[2])
            self.keys = keys
            self.values = values
            self.column = column
            self.is_initialized = True

        def update(self, key_states: Any, value_states: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
            self.keys.index_copy_(2, self.column, key_states)
            self.values.index_copy_(2, self.column, value_states)
            return self.keys, self.values

        def get_seq_length(self, *args: Any) -> int:
            return 0

    return Placed


@contextmanager
def grouped(config: Any) -> Iterator[None]:
    """While it lasts, attention of one token reads grouped keys as they are, instead of repeating them."""
    text = config.get_text_config()
    before = text._attn_implementation
    if before == "sdpa":
        from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

        ALL_ATTENTION_FUNCTIONS.register(ATTENTION, _attention)
        text._attn_implementation = ATTENTION
    try:
        yield
    finally:
        text._attn_implementation = before


def _attention(
    module: Any, query: Any, key: Any, value: Any, attention_mask: Any, scaling: float | None = None, **_: Any
) -> tuple[Any, None]:
    """Of one token: ``query`` (batch, heads, 1, width), keys (batch, heads or fewer, columns, width)."""
    import torch

    batch, heads, _one, width = query.shape
    found = torch.nn.functional.scaled_dot_product_attention(
        query.reshape(batch, key.shape[1], -1, width), key, value, attn_mask=attention_mask, scale=scaling
    )  # (batch, key heads, heads for each, width)
    return found.reshape(batch, 1, heads, -1), None
