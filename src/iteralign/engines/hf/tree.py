"""Many continuations of one prompt as one sequence: a tree.

Every token of it is there once, and sees its own ancestors alone. What continuations share, the prompt and
any common beginning, goes through the model once. Knows token ids and tensors, not chats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Tree:
    """``tokens`` with their ``parents`` (-1: none) and ``positions``.

    ``paths``: for each continuation the places whose logits its tokens are drawn from, in order.
    """

    tokens: list[int]
    parents: list[int]
    positions: list[int]
    paths: list[list[int]]


def tree_of(prompt: Sequence[int], continuations: Sequence[Sequence[int]]) -> Tree:
    """The tree of a prompt (one token at least) and its continuations.

    After a continuation's last token nothing is asked: it is left out.
    """
    tokens = list(prompt)
    parents = list(range(-1, len(prompt) - 1))
    positions = list(range(len(prompt)))
    child: dict[tuple[int, int], int] = {}
    paths = []
    for continuation in continuations:
        at = len(prompt) - 1
        path = [at] if continuation else []
        for token in continuation[:-1]:
            if (at, token) not in child:
                child[at, token] = len(tokens)
                tokens.append(token)
                parents.append(at)
                positions.append(positions[at] + 1)
            at = child[at, token]
            path.append(at)
        paths.append(path)
    return Tree(tokens, parents, positions, paths)


def inputs_of(trees: Sequence[Tree], pad: int, device: str, dtype: Any) -> dict[str, Any]:
    """Token ids (batch, width), positions, and an additive mask (batch, 1, width, width).

    A token sees its ancestors and itself.
    """
    import numpy as np
    import torch

    width = max(len(t.tokens) for t in trees)
    sees = np.zeros((len(trees), width, width), dtype=bool)
    for row, tree in zip(sees, trees, strict=True):
        for place, parent in enumerate(tree.parents):
            if parent >= 0:
                row[place] = row[parent]
            row[place, place] = True
        for place in range(len(tree.tokens), width):  # padding sees itself, or its row would be no numbers
            row[place, place] = True
    ids = torch.tensor([t.tokens + [pad] * (width - len(t.tokens)) for t in trees], device=device)
    positions = torch.tensor([t.positions + [0] * (width - len(t.positions)) for t in trees], device=device)
    mask = torch.zeros(sees.shape, dtype=dtype, device=device)
    mask.masked_fill_(~torch.from_numpy(sees).to(device), torch.finfo(dtype).min)
    return {"input_ids": ids, "attention_mask": mask[:, None], "position_ids": positions, "use_cache": False}
