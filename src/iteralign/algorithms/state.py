"""What IterAlign works with, and the state of its loop: plain data.

Knows no stage and no store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from iteralign.protocols import Eval, Oracle, PolicyHost, Trainer
from iteralign.records.iteralign import (
    Checkpoint,
    Constitution,
    EvalReport,
    IterationRecord,
    RedTeamPrompt,
    TrainingExample,
)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the algorithm works with; ``build`` composes it. ``red_team`` and ``benign`` are the training
    split, in order of use; ``constitution`` is what the run starts from.
    """

    base: Checkpoint
    host: PolicyHost
    oracle: Oracle
    trainer: Trainer
    evals: Sequence[Eval]
    red_team: Sequence[RedTeamPrompt]
    benign: Sequence[RedTeamPrompt]
    constitution: Constitution = field(default_factory=Constitution)
    tests: Sequence[Eval] = ()


@dataclass(frozen=True, slots=True)
class State:
    """Where the loop stands: the accepted weights with their reports, the constitution, and what was learnt
    so far.

    ``reports`` is empty where these weights were not measured; ``measured``: the reports of the weights that
    were measured last; ``harm``: the measured rates of accepted checkpoints, by id.
    """

    checkpoint: Checkpoint
    baseline: tuple[EvalReport, ...]
    reports: tuple[EvalReport, ...]
    measured: tuple[EvalReport, ...]
    benign: tuple[TrainingExample, ...]
    constitution: Constitution = field(default_factory=Constitution)
    lessons: tuple[TrainingExample, ...] = ()
    waiting: tuple[TrainingExample, ...] = ()
    seen: int = 0
    done: tuple[IterationRecord, ...] = ()
    harm: Mapping[str, float] = field(default_factory=dict)


def kept_of(accepted: Sequence[Checkpoint], harm: Mapping[str, float], most: int) -> list[Checkpoint]:
    """The accepted checkpoints that stay on disk, of all in the order of their acceptance.

    The latest, then the one with the lowest measured harm, then those before the latest.
    """
    latest = list(reversed(accepted))
    measured = [c for c in latest if c.id in harm]
    best = [min(measured, key=lambda c: harm[c.id])] if measured else []
    return list(dict.fromkeys([*latest[:1], *best, *latest]))[:most]
