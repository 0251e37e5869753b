"""What a run of a recipe will take, for both methods: the sizes of its data, given to ``report``'s forecasts.

A part of the composition root. Nothing is started or written.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from iteralign.build.data import read_prompts
from iteralign.build.evals import task_items
from iteralign.build.misfits import Misfit, misfits, unasked
from iteralign.build.models import EMBEDDED, RULES, built_in_template, must_be_trainable
from iteralign.build.oracle import chat_models, must_have_prices
from iteralign.build.self_align import PER_RULE
from iteralign.build.self_align_words import read_words
from iteralign.build.shape import device_at_hand, shape_of, width_of
from iteralign.errors import RecipeError
from iteralign.recipe.iteralign import Recipe
from iteralign.recipe.load import AnyRecipe, shared
from iteralign.recipe.self_align import SelfAlignRecipe
from iteralign.records.iteralign import RedTeamPrompt, Split
from iteralign.report.hardware import Device, parse_hardware
from iteralign.report.plan import in_bytes
from iteralign.text.printable import one_line


def forecast(recipe: AnyRecipe, hardware: str | None = None) -> dict[str, Any]:
    """Return what a run of the recipe will take, as plain data.

    ``hardware``: on which devices (``h100x8``); where it is not given, on the device at hand. Raises
    ``DataError`` and ``RecipeError``.
    """
    must_be_trainable(recipe)
    must_have_prices(shared(recipe))
    device = device_at_hand(shared(recipe)) if hardware is None else parse_hardware(hardware)
    found = _iteralign(recipe, device) if isinstance(recipe, Recipe) else _self_align(recipe, device)
    said = built_in_template(recipe)
    return found | ({"chat_template": said} if said is not None else {})


def warnings_before(recipe: AnyRecipe, out: Path) -> list[str]:
    """Return why a run of the recipe here may not get to its end: less disk or memory than it may take."""
    plan = forecast(recipe)
    short = _short_of_disk(plan, out)
    return [*short_of_memory(plan), *([short] if short is not None else [])]


def short_of_memory(plan: Mapping[str, Any]) -> list[str]:
    """Return why the device of a plan cannot hold the run, and what would fit."""
    found = plan["too_much"]
    said = [found] if isinstance(found, str) else list(found or ())
    return [f"the run will most likely run out of memory: {text}" for text in said]


def short_of_disk(recipe: AnyRecipe, out: Path) -> str | None:
    """Return a warning where less disk is free than a run of the recipe may take; None where it is enough."""
    return _short_of_disk(forecast(recipe), out)


def _short_of_disk(plan: Mapping[str, Any], out: Path) -> str | None:
    needed = plan["disk_bytes"]
    free = free_bytes(out)
    if needed is None or free >= needed:
        return None
    return (
        f"the run may take {in_bytes(needed)} of disk, and {in_bytes(free)} are free at {out}: make room, or "
        "choose another --out. A run that finds the disk full stops, and resumes when there is room"
    )


def free_bytes(out: Path) -> int:
    """Return the bytes that are free where a directory lies or will lie."""
    there = out.absolute()
    while not there.exists():
        there = there.parent
    return shutil.disk_usage(there).free


def _shown(found: Sequence[Misfit]) -> list[dict[str, str]]:
    return [{"where": m.where, "why": m.why} for m in found]


def must_be_able_to_pass(recipe: Recipe) -> None:
    """Check that a candidate could be accepted at all: that every test of the gate has the items it needs.

    Raises ``RecipeError`` with the test, its n and the remedies; ``DataError``.
    """
    from iteralign.report.gate import gate_forecast, gate_items, never_passes

    prompts, _ = _askable(recipe)
    items = gate_items(recipe, _held_out(prompts, harmful=True), _held_out(prompts, harmful=False))
    why = never_passes(recipe, gate_forecast(recipe, items, task_items(recipe)))
    if why is not None:
        raise RecipeError(why)


def _askable(recipe: Recipe) -> tuple[list[RedTeamPrompt], list[Misfit]]:
    """Return the prompts that the model can be asked, and the others."""
    prompts = read_prompts(recipe)
    found = misfits(recipe, prompts)
    without = {m.prompt_id for m in found}
    return [p for p in prompts if p.id not in without], found


def _held_out(prompts: Sequence[RedTeamPrompt], *, harmful: bool, part: Split = "held_out") -> int:
    """Return how many prompts the gate, or the test at the end, may measure on."""
    return sum(p.split == part and (p.intent == "harmful") == harmful for p in prompts)


def _iteralign(recipe: Recipe, device: Device | None) -> dict[str, Any]:
    from iteralign.data.categories import CATEGORIES
    from iteralign.prompts.render import render
    from iteralign.report.forecast import EMBEDDED_RATES, Sizes, as_dict, forecast

    prompts, left_out = _askable(recipe)
    offline = recipe.model.name in EMBEDDED and recipe.oracle.kind == "embedded"

    training = [p for p in prompts if p.split == "train"]
    red = sum(p.intent == "harmful" for p in training)
    sizes = Sizes(
        prompts=red,
        held_out=_held_out(prompts, harmful=True),
        benign=len(training) - red,
        held_out_benign=_held_out(prompts, harmful=False),
        tested=_held_out(prompts, harmful=True, part="test"),
        tested_benign=_held_out(prompts, harmful=False, part="test"),
        tasks=task_items(recipe),
        shape=shape_of(recipe),
        width=width_of(recipe, device),
        judges=chat_models(recipe),
        instruction_chars=len(render("judge", categories=CATEGORIES)),
        prompt_chars=sum(len(p.text) for p in prompts) / max(1, len(prompts)),
        **(EMBEDDED_RATES if offline else {}),
    )
    return as_dict(forecast(recipe, sizes, device)) | {"left_out": _shown(left_out)}


def _self_align(recipe: SelfAlignRecipe, device: Device | None) -> dict[str, Any]:
    from iteralign.report.forecast_self_align import Sizes, as_dict, forecast

    loop = recipe.loop()
    # Instructions that would have to be fetched are planned by the number that is wanted of them.
    there = Path(recipe.self_instruct.source.partition("::")[0]).exists()
    words = read_words(recipe, prompts=there)
    held_out = [p for p in read_prompts(loop) if p.split == "held_out"]
    left_out = misfits(loop, held_out)
    longest = recipe.align.sampling.max_new_tokens
    given = unasked(loop, [((*words.guide.chat, *i.chat), longest) for i in words.given])
    left_out += [
        Misfit(
            words.given[i].id, f"{recipe.self_instruct.source}: {one_line(words.given[i].text, 60)!r}", why
        )
        for i, why in given.items()
    ]
    red = sum(p.intent == "harmful" for p in held_out)
    benign = len(held_out) - red
    section = recipe.evaluation
    judged = min(red, section.harm_limit or red) + min(benign, section.over_refusal_limit or benign)
    own = PER_RULE * len(words.guide.rules) if recipe.model.name == RULES else 0
    sizes = Sizes(
        given=len(words.given) if there else recipe.self_instruct.prompts,
        types=len({t.type for t in words.topics}),
        prefix_chars=sum(len(m.text) for m in words.guide.chat),
        seed_chars=sum(map(len, words.seeds)) / max(1, len(words.seeds)),
        measured=judged + own,
        judged=judged * len(chat_models(loop)),
        shape=shape_of(loop),
        width=width_of(loop, device),
        embedded=recipe.model.name == RULES,
    )
    return as_dict(forecast(recipe, sizes, device)) | {"left_out": _shown(left_out)}
