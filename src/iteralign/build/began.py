"""What a run began with, kept as notes of the run: libraries, device, precision, and the base model's commit.

Notes are no records: equal runs on two machines stay equal. Decides nothing about a method, and loads no
library to ask its version.
"""

from __future__ import annotations

import platform
from importlib import metadata

from iteralign.engines.facts import Began
from iteralign.foreign.yaml import parse
from iteralign.recipe.load import AnyRecipe, recipe_of
from iteralign.store.create import RECIPE
from iteralign.store.run import Run

MODEL = "model"
LIBRARIES = "libraries"
_NAMED = ("torch", "transformers", "trl", "peft", "iteralign")


def began(run: Run) -> Began:
    """Return what remembers the facts of this run: the first value of each that is not empty."""

    def first(name: str, value: str) -> str:
        noted = run.noted(MODEL) or {}
        if name in noted:
            return str(noted[name])
        if value:
            run.note(MODEL, noted | {name: value})
        return value

    return first


def first_recipe(run: Run) -> AnyRecipe:
    """Return the recipe that the run began with: what a resume changed since is as it was."""
    now = recipe_of(run.settings)
    try:
        first = recipe_of(parse((run.directory / RECIPE).read_text(encoding="utf-8"))[0])
    except (OSError, ValueError, TypeError, AttributeError):
        return now  # a text that no release of ours wrote
    return first if first.method == now.method else now


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that results depend on, as installed."""
    found = {"python": platform.python_version()}
    for name in _NAMED:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def note_libraries(run: Run) -> None:
    """Record the versions with the run, and warn where its last session had others."""
    now = versions()
    before = run.noted(LIBRARIES)
    run.event("libraries", **now)
    if before == now:
        return
    if before is not None:
        changes = [
            f"{name} {before.get(name, 'absent')} -> {now.get(name, 'absent')}"
            for name in sorted({*before, *now})
            if before.get(name) != now.get(name)
        ]
        text = (
            f"the run's last session had other versions of libraries: {', '.join(changes)}. "
            "What is stored is kept; what follows may differ from what it would have been"
        )
        run.event("warning", text=text)
    run.note(LIBRARIES, now)
