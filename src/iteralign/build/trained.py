"""What the runs that a model comes from were trained on, and which prompts are too near to it to be asked.

A part of the composition root. Reads runs and changes nothing; knows nothing of how a task counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from iteralign.records.chat import Chat
from iteralign.records.iteralign import RedTeamPrompt, TrainingExample
from iteralign.report.self_align import instructions
from iteralign.report.stored import iteration_scopes
from iteralign.store.run import Run
from iteralign.text.similarity import near_duplicates

NEAR: Final = 0.8
"""Cosine from which two prompts say the same: the one that splits prompts into training and held-out ones."""
_BLOCK: Final = 20_000
"""Texts that are compared at once: the memory of an index of more of them is gigabytes."""


def run_of(model: str) -> Path | None:
    """Return the run directory that a model's folder lies in: with run.sqlite beside checkpoints/."""
    folder = Path(model).expanduser()
    if not folder.is_dir():
        return None
    place = folder.resolve()
    if (place / "run.sqlite").is_file():
        return place
    for directory in place.parents:
        if (directory / "run.sqlite").is_file() and place.is_relative_to(directory / "checkpoints"):
            return directory
    return None


def runs_of(models: Sequence[str]) -> list[Path]:
    """Return the runs that the models come from.

    A run's base model may come from another run, which is one of them, too.
    """
    found: list[Path] = []
    waiting = list(models)
    while waiting:
        directory = run_of(waiting.pop(0))
        if directory is None or directory in found:
            continue
        found.append(directory)
        with Run.open(directory, readonly=True) as run:
            waiting.append(str(run.settings.get("model", {}).get("name", "")))
    return found


@dataclass(frozen=True, slots=True)
class Trained:
    """What models were trained on. ``runs``: the names of their runs; ``texts``: prompts, each once."""

    runs: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()

    def near(self, asked: Sequence[str]) -> list[bool]:
        """Return for each text whether a model was trained on it or on a near-duplicate.

        As in the split: linked by a cosine of at least ``NEAR``, directly or through others of them.
        """
        leaked: set[int] = set()
        for first in range(0, len(self.texts), _BLOCK):
            block = self.texts[first : first + _BLOCK]
            for group in near_duplicates([*block, *asked], NEAR):
                if group[0] < len(block):
                    leaked.update(i - len(block) for i in group if i >= len(block))
        return [i in leaked for i in range(len(asked))]

    def told(self, left_out: int, count: int) -> str:
        """Say how many of ``count`` prompts were left out; empty where the models come from no run."""
        if not self.runs:
            return ""
        return (
            f"{left_out} of {count} prompts are left out: {' or '.join(self.runs)} trained on them or on "
            f"near-duplicates (cosine of {NEAR} or more)"
        )


def trained_on(directories: Sequence[Path]) -> Trained:
    """Return what these runs trained on: training prompts, the prompts of examples, and instructions."""
    texts: dict[str, None] = {}
    for directory in directories:
        with Run.open(directory, readonly=True) as run:
            texts |= dict.fromkeys(_texts(run))
    return Trained(tuple(d.name for d in directories), tuple(texts))


def asked_in(messages: Chat) -> str:
    """Return all user turns of a chat: what the split compares."""
    return "\n".join(m.text for m in messages if m.role == "user")


def _texts(run: Run) -> Iterator[str]:
    if run.settings.get("method") == "self-align":
        yield from instructions(run).values()
        return
    for prompts in run.read(list[RedTeamPrompt], "data", "prompts"):
        yield from (asked_in(p.messages) for p in prompts if p.split == "train")
    for scope in iteration_scopes(run):
        for examples in run.read(list[TrainingExample], scope, "examples"):
            yield from (asked_in(e.messages) for e in examples)
