"""What Self-Align works with: plain data.

Knows no stage and no store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from iteralign.protocols import Eval, PolicyHost, Trainer
from iteralign.records.iteralign import Checkpoint
from iteralign.records.self_align import Instruction
from iteralign.stages.align import Guide


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What people wrote. ``prompts``: short system prompts, the standard one first; ``identity``: (request,
    answer); ``given``: instructions in place of stage 1; ``lines``: how many lines of each; ``measured``:
    prompts that are held out for measuring; no instruction may be one of them or nearly one.
    """

    seeds: tuple[str, ...]
    topics: tuple[Instruction, ...]
    guide: Guide
    prompts: tuple[str, ...]
    identity: tuple[tuple[str, str], ...]
    given: tuple[Instruction, ...] = ()
    lines: Mapping[str, int] = field(default_factory=dict)
    measured: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the algorithm works with; ``build`` composes it. ``pairs``: compares each model with
    the first that it ran on.
    """

    base: Checkpoint
    host: PolicyHost
    engraver: Trainer
    cloner: Trainer
    evals: Sequence[Eval]
    words: Words
    pairs: Callable[[], Eval] | None = None
