"""Fits the embedded oracle's linear models: softmax regression over sparse rows, in numpy.

By L-BFGS. Used only to train. Must not know texts, categories and files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Sparse rows: row r has ``columns[start[r]:start[r + 1]]`` with ``values``.

    ``rows`` names each entry's row.
    """

    start: NDArray[np.int64]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: Floats
    width: int

    @classmethod
    def build(cls, parts: Sequence[tuple[NDArray[np.int64], Floats]], width: int) -> Matrix:
        """Rows scaled to length 1."""
        lengths = [len(c) for c, _ in parts]
        scaled = [v / max(float(np.linalg.norm(v)), 1e-12) for _, v in parts]
        start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return cls(
            start,
            np.repeat(np.arange(len(parts)), lengths),
            np.concatenate([c for c, _ in parts]),
            np.concatenate(scaled),
            width,
        )

    def forward(self, weights: Floats) -> Floats:
        """Products with the columns of ``weights`` (width, k): (rows, k)."""
        columns = np.ascontiguousarray(weights.T)
        out = [
            np.bincount(self.rows, self.values * one[self.columns], minlength=len(self.start) - 1)
            for one in columns
        ]
        return np.stack(out, axis=1)

    def backward(self, slopes: Floats) -> Floats:
        """The transposed product with ``slopes`` (rows, k): (width, k)."""
        columns = np.ascontiguousarray(slopes.T)
        out = [
            np.bincount(self.columns, self.values * one[self.rows], minlength=self.width) for one in columns
        ]
        return np.stack(out, axis=1)

    def take(self, chosen: NDArray[np.bool_]) -> Matrix:
        """The chosen rows."""
        kept = chosen[self.rows]
        lengths = np.diff(self.start)[chosen]
        start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return Matrix(
            start,
            np.repeat(np.arange(len(lengths)), lengths),
            self.columns[kept],
            self.values[kept],
            self.width,
        )


def fit(matrix: Matrix, targets: Floats, weights: Floats, ridge: float, rounds: int) -> tuple[Floats, Floats]:
    """Softmax regression (k columns; one column: logistic) by L-BFGS.

    Returns coefficients (width, k) and biases (k,).
    """
    k = targets.shape[1]
    width = matrix.width
    share = weights / weights.sum()

    def loss(flat: Floats) -> tuple[float, Floats]:
        table = flat[: width * k].reshape(width, k)
        bias = flat[width * k :]
        scores = matrix.forward(table) + bias
        if k == 1:
            chance = 1 / (1 + np.exp(-np.clip(scores, -60, 60)))
            value = float(share @ np.logaddexp(0, np.where(targets > 0.5, -scores, scores))[:, 0])
        else:
            scores -= scores.max(axis=1, keepdims=True)
            chance = np.exp(scores)
            chance /= chance.sum(axis=1, keepdims=True)
            value = float(-share @ (targets * np.log(np.maximum(chance, 1e-300))).sum(axis=1))
        slope = (chance - targets) * share[:, None]
        gradient = np.concatenate([(matrix.backward(slope) + 2 * ridge * table).ravel(), slope.sum(axis=0)])
        return value + ridge * float((table**2).sum()), gradient

    flat = lbfgs(loss, np.zeros(width * k + k), rounds)
    return flat[: width * k].reshape(width, k), flat[width * k :]


def lbfgs(
    loss: Callable[[Floats], tuple[float, Floats]], start: Floats, rounds: int, memory: int = 8
) -> Floats:
    """Minimise a smooth function (Liu and Nocedal 1989) with a backtracking line search."""
    point = start
    value, slope = loss(start)
    steps: list[tuple[Floats, Floats]] = []
    for _ in range(rounds):
        direction = slope.copy()
        pending = []
        for move, turn in reversed(steps):
            pending.append(float(move @ direction) / float(move @ turn))
            direction -= pending[-1] * turn
        if steps:
            direction *= float(steps[-1][0] @ steps[-1][1]) / float(steps[-1][1] @ steps[-1][1])
        for (move, turn), first in zip(steps, reversed(pending), strict=True):
            direction += (first - float(turn @ direction) / float(move @ turn)) * move
        fall = float(direction @ slope)
        length = 1.0
        while True:
            trial = point - length * direction
            new, new_slope = loss(trial)
            if new <= value - 1e-4 * length * fall or length < 1e-6:
                break
            length /= 2
        move = trial - point
        turn = new_slope - slope
        done = value - new < 1e-7 * max(1.0, abs(value))
        point = trial
        value = new
        slope = new_slope
        if done:
            break
        if float(move @ turn) > 1e-14:
            steps = [*steps[-(memory - 1) :], (move, turn)]
    return point


def calibrate(scores: Floats, bad: NDArray[np.bool_], weights: Floats) -> tuple[float, float]:
    """Platt's slope and intercept: scores to log-odds."""
    matrix = Matrix(
        np.arange(len(scores) + 1), np.arange(len(scores)), np.zeros(len(scores), dtype=np.int64), scores, 1
    )
    table, bias = fit(matrix, bad[:, None].astype(np.float64), weights, 0.0, 200)
    return float(table[0, 0]), float(bias[0])
