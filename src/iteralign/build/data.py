"""From a recipe to the data of a run: its prompts, split and shuffled, and the principles it starts from.

A part of the composition root. Knows no engine and no model.
"""

from __future__ import annotations

import random
from dataclasses import replace

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
    return prompts_of(recipe.red_team, recipe.benign, recipe.seed, recipe.evaluation.test_share)


def prompts_of(
    red_team: RedTeamSection, benign: BenignSection, seed: int, test_share: float = 0.0
) -> list[RedTeamPrompt]:
    """Return red-team and benign prompts, split by topic, in a seeded order.

    The share ``test_share`` of the held-out ones is the test part, split off by topic, too. Raises
    ``DataError`` where a side of the split stays empty.
    """
    red = load_prompts(red_team.source, limit=red_team.limit, seed=seed, columns=red_team.columns)
    plain = load_prompts(
        benign.source, limit=benign.limit, seed=seed, intent="benign", columns=benign.columns
    )
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
                + _filtered(name, red, plain, len(plain) - len(new))
            )
    found = with_test_part(found, test_share, seed)
    random.Random(seed).shuffle(found)
    return found


def _filtered(name: str, red: list[RedTeamPrompt], plain: list[RedTeamPrompt], shared: int) -> str:
    """What a filter left out of a source, where one did."""
    if name == "red_team":
        other = sum(p.intent != "harmful" for p in red)
        if not other:
            return ""
        return f". {other} of its {len(red)} prompts say in their field intent that they are not harmful"
    if not shared:
        return ""
    return (
        f". {shared} of its {len(plain)} prompts are red-team prompts, too (red_team.source), and left out: "
        "name another benign.source"
    )


def with_test_part(prompts: list[RedTeamPrompt], share: float, seed: int) -> list[RedTeamPrompt]:
    """Return the prompts in their order, the share of the held-out ones marked as the test part.

    Raises ``DataError`` where too few topics were held out to be parted.
    """
    if not share:
        return prompts
    marked: dict[str, RedTeamPrompt] = {}
    for side in (True, False):
        held = [p for p in prompts if p.split == "held_out" and (p.intent == "harmful") == side]
        try:
            parted = split_prompts(held, held_out=share, seed=seed)
        except DataError as error:
            raise DataError(
                f"evaluation.test_share = {share}: the {len(held)} held-out "
                f"{'red-team' if side else 'benign'} "
                f"prompts cannot be parted into gate and test ({error}). Bring more prompts, or set "
                "evaluation.test_share to 0: then the report claims what the gate decided with"
            ) from error
        marked |= {p.id: replace(p, split="test") for p in parted if p.split == "held_out"}
    return [marked.get(p.id, p) for p in prompts]


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
