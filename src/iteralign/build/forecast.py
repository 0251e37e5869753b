"""What a run of a recipe will take, for both methods: the sizes of its data, given to ``report``'s forecasts.

A part of the composition root. Nothing is started or written.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from iteralign.build.data import read_prompts
from iteralign.build.evals import task_items
from iteralign.build.misfits import Misfit, misfits, unasked
from iteralign.build.models import EMBEDDED, RULES, base_folder, built_in_template, must_be_trainable
from iteralign.build.oracle import chat_models, must_have_prices
from iteralign.build.self_align import PER_RULE
from iteralign.build.self_align_words import read_words
from iteralign.engines.limits import config_of
from iteralign.errors import RecipeError
from iteralign.recipe.iteralign import Recipe
from iteralign.recipe.load import AnyRecipe, shared
from iteralign.recipe.self_align import SelfAlignRecipe
from iteralign.records.iteralign import RedTeamPrompt, Split
from iteralign.report.plan import in_bytes
from iteralign.text.printable import one_line

SIZE_IN_NAME = r"(?i)(?<![\d.])(\d+(?:\.\d+)?)b(?![a-z])"
"""``7b`` in a model's name: its parameters, in billions."""


def forecast(recipe: AnyRecipe, hardware: str | None = None) -> dict[str, Any]:
    """Return what a run of the recipe will take, as plain data.

    ``hardware``: of Self-Align alone, on which devices (``h100x8``). Raises ``DataError`` and
    ``RecipeError``.
    """
    must_be_trainable(recipe)
    must_have_prices(shared(recipe))
    found = _iteralign(recipe) if isinstance(recipe, Recipe) else _self_align(recipe, hardware)
    said = built_in_template(recipe)
    return found | ({"chat_template": said} if said is not None else {})


def short_of_disk(recipe: AnyRecipe, out: Path) -> str | None:
    """Return a warning where less disk is free than a run of the recipe may take; None where it is enough."""
    needed = forecast(recipe)["disk_bytes"]
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


def _iteralign(recipe: Recipe) -> dict[str, Any]:
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
        weights_bytes=_weights_bytes(recipe),
        judges=chat_models(recipe),
        instruction_chars=len(render("judge", categories=CATEGORIES)),
        prompt_chars=sum(len(p.text) for p in prompts) / max(1, len(prompts)),
        **(EMBEDDED_RATES if offline else {}),
    )
    return as_dict(forecast(recipe, sizes)) | {"left_out": _shown(left_out)}


def _self_align(recipe: SelfAlignRecipe, hardware: str | None) -> dict[str, Any]:
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
    parameters, cache_bytes = model_shape(recipe)
    sizes = Sizes(
        given=len(words.given) if there else recipe.self_instruct.prompts,
        types=len({t.type for t in words.topics}),
        prefix_chars=sum(len(m.text) for m in words.guide.chat),
        seed_chars=sum(map(len, words.seeds)) / max(1, len(words.seeds)),
        measured=judged + own,
        judged=judged * len(chat_models(loop)),
        parameters=parameters,
        cache_bytes=cache_bytes,
        embedded=recipe.model.name == RULES,
    )
    return as_dict(forecast(recipe, sizes, hardware)) | {"left_out": _shown(left_out)}


def _weights_bytes(recipe: Recipe) -> int | None:
    """Return how large a checkpoint will be; None where the model is not on this machine."""
    folder = base_folder(recipe)
    if not folder.is_dir():
        return None
    if recipe.training.keep_adapter:
        return _adapter_bytes(folder, recipe.training.lora_r)
    size = sum(p.stat().st_size for p in folder.glob("*.safetensors"))
    # Embedded models ship in bfloat16 and are trained in float32.
    return 2 * size if recipe.model.name in EMBEDDED else size


def _adapter_bytes(folder: Path, rank: int) -> int | None:
    """Return how large an adapter of all linear layers is at most, in float32; None where it is not known."""
    config = config_of(folder)
    try:
        layers, hidden, inner = (
            int(config[k]) for k in ("num_hidden_layers", "hidden_size", "intermediate_size")
        )
    except (ValueError, KeyError, TypeError, OverflowError):
        return None
    return 4 * rank * layers * (4 * 2 * hidden + 3 * (hidden + inner))


def model_shape(recipe: SelfAlignRecipe) -> tuple[float | None, float | None]:
    """Return the model's parameters, and the bytes of keys and values per token in 16 bit.

    From its config where it is on this machine; else the parameters as its name has them (``...-7b``), with a
    usual shape. None: not known.
    """
    folder = base_folder(recipe.loop())
    if (folder / "config.json").is_file():
        config = config_of(folder)
        keys = ("num_hidden_layers", "hidden_size", "num_attention_heads")
        layers, hidden, heads = (n if isinstance(n := config.get(k), int) and n > 0 else 0 for k in keys)
        size = sum(p.stat().st_size for p in folder.glob("*.safetensors")) / 2
        if layers and hidden and heads:
            kept = config.get("num_key_value_heads", heads)
            share = (kept if isinstance(kept, int) else heads) / heads
            return size or None, 2 * 2 * layers * hidden * share
        return size or None, None
    found = re.search(SIZE_IN_NAME, recipe.model.name)
    return (float(found[1]) * 1e9, 5e5 * float(found[1]) / 7) if found else (None, None)
