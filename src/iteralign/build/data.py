"""From a recipe to the data of a run: its prompts, split and shuffled, and the principles it starts from.

A part of the composition root. Knows no engine and no model.
"""

from __future__ import annotations

import random

from iteralign.data.load import load_prompts
from iteralign.data.split import split_prompts
from iteralign.errors import DataError
from iteralign.recipe.iteralign import Recipe
from iteralign.recipe.sections import BenignSection, RedTeamSection
from iteralign.records.iteralign import Constitution, Principle, RedTeamPrompt
from iteralign.store.run import Run
from iteralign.text.words import runs


def stored_prompts(run: Run, recipe: Recipe) -> list[RedTeamPrompt]:
    """Return the run's prompts; it keeps those that it began with. Raises ``DataError``."""
    found: list[RedTeamPrompt] = run.beginning("prompts", list[RedTeamPrompt], read_prompts, recipe)
    return found


def read_prompts(recipe: Recipe) -> list[RedTeamPrompt]:
    """Return the prompts of a recipe, without a run. Raises ``DataError``."""
    return prompts_of(recipe.red_team, recipe.benign, recipe.seed)


def prompts_of(red_team: RedTeamSection, benign: BenignSection, seed: int) -> list[RedTeamPrompt]:
    """Return red-team and benign prompts, split by topic, in a seeded order.

    Raises ``DataError`` where a side of the split stays empty.
    """
    red = load_prompts(red_team.source, limit=red_team.limit, seed=seed)
    plain = load_prompts(benign.source, limit=benign.limit, seed=seed, intent="benign")
    # A prompt of both sources belongs to the red-team set, so that it stands on one side of the split.
    known = {runs(p.text) for p in red}
    new = [p for p in plain if runs(p.text) not in known]
    found = split_prompts(red, held_out=red_team.held_out, seed=seed)
    found += split_prompts(new, held_out=benign.held_out, seed=seed)
    for name, section, side in (
        ("red_team", red_team, "train"),
        ("red_team", red_team, "held_out"),
        ("benign", benign, "held_out"),
    ):
        if not any(p.split == side and (p.intent == "harmful") == (name == "red_team") for p in found):
            raise DataError(
                f"{name}.source = {section.source!r}: no prompt is left for the {side} side of the split; "
                f"bring more prompts or change {name}.held_out ({section.held_out})"
            )
    random.Random(seed).shuffle(found)
    return found


def stored_constitution(run: Run, recipe: Recipe) -> Constitution:
    """Return the constitution that the run starts from; it keeps the one that it began with."""
    if not recipe.constitution:
        return Constitution()
    found: Constitution = run.beginning("constitution", Constitution, first_constitution, recipe.constitution)
    return found


def first_constitution(source: str | None) -> Constitution:
    """Return a first constitution: none, a file's, or the rules of Self-Align. Raises ``DataError``."""
    if source is None:
        return Constitution()
    if source == "self-align":
        from iteralign.data.self_align_texts import rules

        return Constitution(principles=tuple(Principle(text=r.text, category=r.name) for r in rules()))
    from iteralign.constitution.export import from_file

    return from_file(source)
