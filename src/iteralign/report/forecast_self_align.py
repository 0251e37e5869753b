"""What a Self-Align run will take before it starts: requests, tokens, disk and hours.

Pure arithmetic on a recipe and the sizes of its words. Hours come from the hardware's published peak and
bandwidth and from the shares of them that generation and training usually reach: rough, and told so. Knows no
engine and no file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any, Final

from iteralign.recipe.self_align import SelfAlignRecipe
from iteralign.recipe.training import TrainingSection
from iteralign.report.hardware import Device, answering_seconds, training_seconds
from iteralign.report.memory import Shape, checkpoint_bytes, needs, too_much, unfinished_bytes
from iteralign.report.plan import left_out_lines
from iteralign.text.printable import count_of, safe

CHARS_PER_TOKEN: Final = 4
INSTRUCTION_TOKENS: Final = 25
"""Of an instruction, on average, with the words that a chat format puts around it: rough."""
KEPT_SHARE: Final = 0.25
"""Of the instructions that a model writes, the share that passes all filters.

Rough; a small or late pool keeps less.
"""
ANSWER_SHARE: Final = 0.6
"""Of the most new tokens that a stage allows, what an answer takes on average."""
RECORD_BYTES: Final = 1_200
"""Of the database, per instruction or answer, beside its text."""
EMBEDDED_START: Final = 40.0
"""Seconds of the embedded model on two CPU cores, whatever is asked."""
EMBEDDED_EACH: Final = 0.8
"""The same for each instruction, with its answers and its part of the trainings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What the forecast is made from. ``None`` where it is not known.

    ``prefix_chars``: of the rules and exemplars that stand before each instruction; ``width``: bytes of a
    weight that answers; ``measured``: answers that each model is measured on; ``judged``: requests to paid
    oracles for each model; ``embedded``: the shipped model, whose pace is known.
    """

    given: int
    types: int
    prefix_chars: int
    seed_chars: float
    measured: int
    shape: Shape | None = None
    width: int = 2
    judged: int = 0
    embedded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage: requests to the model, tokens read and written.

    ``shared_tokens`` of those read are alike in all requests and computed once a batch.
    """

    name: str
    requests: int
    prompt_tokens: int
    shared_tokens: int
    new_tokens: int
    training_tokens: int = 0
    hours: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The plan. Counts of requests and answers are expectations, not bounds."""

    instructions: int
    stages: tuple[Stage, ...]
    requests: int
    prompt_tokens: int
    new_tokens: int
    training_tokens: int
    oracle_calls: int
    disk_bytes: int | None
    hours: float | None
    hardware: str | None
    memory_bytes: int | None
    fits: bool | None
    too_much: tuple[str, ...]
    """why the device cannot hold it, and what would fit"""
    seconds: float | None


def forecast(recipe: SelfAlignRecipe, sizes: Sizes, device: Device | None = None) -> Forecast:
    """What the recipe will take, on a device where one is known."""
    ordinary, topical, first = _first_stage(recipe, sizes)
    total = ordinary + topical
    prefix = sizes.prefix_chars // CHARS_PER_TOKEN
    stages = [
        *first,
        _answers("2 answers under the rules", total, prefix, recipe.align.sampling.max_new_tokens),
    ]
    written = recipe.align.sampling.max_new_tokens * ANSWER_SHARE / 2  # half of it are thoughts
    stages.append(_training("3 engraving", total, written, recipe.engrave.training))
    if recipe.clone.enabled:
        stages.append(_answers("4 extensive answers", total, 60, recipe.clone.sampling.max_new_tokens))
        stages.append(
            _training(
                "4 cloning", total, recipe.clone.sampling.max_new_tokens * ANSWER_SHARE, recipe.clone.training
            )
        )
    models = 3 if recipe.clone.enabled else 2
    measured = sizes.measured * models
    stages.append(_answers("measuring", measured, 0, recipe.evaluation.sampling.max_new_tokens))
    if device is not None and sizes.shape is not None and not sizes.embedded:
        stages = [_timed(s, device, recipe, sizes, sizes.shape) for s in stages]
    hours = [s.hours for s in stages]
    memory, too_much = _memory(recipe, sizes, device)
    return Forecast(
        instructions=total,
        stages=tuple(stages),
        requests=sum(s.requests for s in stages),
        prompt_tokens=sum(s.prompt_tokens for s in stages),
        new_tokens=sum(s.new_tokens for s in stages),
        training_tokens=sum(s.training_tokens for s in stages),
        oracle_calls=sizes.judged * models,
        disk_bytes=_disk(recipe, sizes, stages),
        hours=sum(h for h in hours if h is not None) if None not in hours else None,
        hardware=None if device is None else device.name,
        memory_bytes=memory,
        fits=None if memory is None else not too_much,
        too_much=too_much,
        seconds=EMBEDDED_START + EMBEDDED_EACH * total * (1 if recipe.clone.enabled else 0.6)
        if sizes.embedded
        else None,
    )


def _first_stage(recipe: SelfAlignRecipe, sizes: Sizes) -> tuple[int, int, list[Stage]]:
    """Instructions of both kinds, and the work that they take."""
    if recipe.self_instruct.source != "self-instruct":
        return sizes.given, 0, []
    section = recipe.self_instruct
    topics = recipe.topics
    requests = ceil(section.prompts / max(1.0, section.wanted * KEPT_SHARE))
    shown = int((section.shown + section.new) * sizes.seed_chars / CHARS_PER_TOKEN) + 30
    stages = [
        Stage(
            name="1 self-instruct",
            requests=requests,
            prompt_tokens=requests * shown,
            shared_tokens=0,
            new_tokens=requests * section.wanted * 20,
        )
    ]
    if not topics.rounds:
        return section.prompts, 0, stages
    per_type = ceil(1 + topics.rounds * topics.requests * topics.wanted * 0.6)
    per_type = min(per_type, topics.per_type or per_type)
    pairs = sizes.types * (per_type - 1)
    brainstorm = topics.rounds * topics.requests * sizes.types
    stages.append(
        Stage(
            name="1 topics",
            requests=brainstorm,
            prompt_tokens=brainstorm * 70,
            shared_tokens=0,
            new_tokens=brainstorm * topics.wanted * 5,
        )
    )
    shown = int((topics.shown + topics.new) * (sizes.seed_chars + 40) / CHARS_PER_TOKEN) + 40
    asked = int(pairs * (1 + 0.5 * (topics.attempts - 1)))
    stages.append(
        Stage(
            name="1 requests by topic",
            requests=asked,
            prompt_tokens=asked * shown,
            shared_tokens=0,
            new_tokens=asked * 35,
        )
    )
    return section.prompts, int(pairs * 0.8), stages


def _answers(name: str, count: int, prefix: int, longest: int) -> Stage:
    return Stage(
        name=name,
        requests=count,
        prompt_tokens=count * (prefix + INSTRUCTION_TOKENS),
        shared_tokens=count * prefix if prefix >= 128 else 0,
        new_tokens=int(count * longest * ANSWER_SHARE),
    )


def _training(name: str, examples: int, answer: float, section: TrainingSection) -> Stage:
    tokens = int(examples * min(section.max_length, INSTRUCTION_TOKENS + 20 + answer)) * section.epochs
    return Stage(
        name=name, requests=0, prompt_tokens=0, shared_tokens=0, new_tokens=0, training_tokens=tokens
    )


def _timed(stage: Stage, device: Device, recipe: SelfAlignRecipe, sizes: Sizes, shape: Shape) -> Stage:
    """The stage with its hours.

    Servers share the generation among all devices; a model in this process uses one.
    """
    served = recipe.model.engine == "server"
    answering = answering_seconds(
        device.hardware,
        parameters=shape.parameters,
        cache_bytes=shape.cache_bytes,
        read=stage.prompt_tokens - stage.shared_tokens * (1 - 1 / (batch := _batch(recipe, stage.requests))),
        written=stage.new_tokens,
        row=(stage.prompt_tokens + stage.new_tokens) / max(1, stage.requests),
        batch=batch,
        engine=recipe.model.engine,
        width=sizes.width,
    )
    section = (recipe.engrave if "engraving" in stage.name else recipe.clone).training
    training = training_seconds(
        device.hardware,
        parameters=shape.parameters,
        tokens=stage.training_tokens,
        adapters=section.method != "full",
    )
    if answering is None or training is None:
        return stage
    hours = (answering / (device.count if served else 1) + training / section.processes) / 3600
    return Stage(**{**asdict(stage), "hours": hours})


def _batch(recipe: SelfAlignRecipe, requests: int) -> int:
    served = recipe.model.engine == "server"
    return min(recipe.model.concurrency if served else recipe.model.batch_size, max(1, requests))


def _trainings(recipe: SelfAlignRecipe) -> dict[str, TrainingSection]:
    """What the recipe calls each training, and its settings."""
    cloning = {"clone.training": recipe.clone.training} if recipe.clone.enabled else {}
    return {"engrave.training": recipe.engrave.training, **cloning}


def _memory(
    recipe: SelfAlignRecipe, sizes: Sizes, device: Device | None
) -> tuple[int | None, tuple[str, ...]]:
    """Memory that one device must have, and why it has not."""
    if sizes.shape is None or device is None:
        return None, ()
    row = sizes.prefix_chars / CHARS_PER_TOKEN + INSTRUCTION_TOKENS + recipe.align.sampling.max_new_tokens
    held: dict[str, Any] = {
        "rows": 0 if recipe.model.engine == "server" else recipe.model.batch_size,
        "tokens": row,
        "width": sizes.width,
    }
    trainings = _trainings(recipe)
    memory = max(needs(sizes.shape, t, device, **held).device for t in trainings.values())
    said = [too_much(sizes.shape, t, device, key=key, **held) for key, t in trainings.items()]
    return int(memory), tuple(dict.fromkeys(text for text in said if text is not None))


def _disk(recipe: SelfAlignRecipe, sizes: Sizes, stages: list[Stage]) -> int | None:
    """Both models, what the larger training lays down to go on from, and the texts."""
    shape = sizes.shape
    if shape is None:
        return None
    trainings = _trainings(recipe).values()
    served = recipe.model.engine != "hf"
    weights = sum(checkpoint_bytes(shape, t, t.keeps(shape.parameters, served=served)) for t in trainings)
    weights += max(unfinished_bytes(shape, t) for t in trainings)
    texts = sum(s.requests * RECORD_BYTES + s.new_tokens * CHARS_PER_TOKEN for s in stages)
    return int(weights + texts)


def plan_lines(plan: Mapping[str, Any], settings: Mapping[str, Any], out: str | None = None) -> list[str]:
    """The plan in words."""
    where = "" if out is None else f", into {safe(out)}"
    model = settings["model"]["name"]
    lines = [
        f"iteralign: Self-Align, recipe {settings['name']}, seed {settings['seed']}{where}",
        f"model {safe(model)}, oracle {settings['oracle']['kind']}, assistant {safe(settings['assistant'])}",
        f"Plan (expectations) for about {plan['instructions']:,} instructions",
    ]
    for s in plan["stages"]:
        if s["training_tokens"]:
            work = f"{_tokens(s['training_tokens']):>9} tokens of training"
        else:
            tokens = f"{_tokens(s['prompt_tokens']):>6} read, {_tokens(s['new_tokens']):>6} written"
            work = f"{s['requests']:>9,} requests, {tokens}"
        hours = "" if s["hours"] is None else f", {_hours(s['hours'])}"
        lines.append(f"  {s['name']:<26}{work}{hours}")
    disk = "not known" if plan["disk_bytes"] is None else f"about {_bytes(plan['disk_bytes'])}"
    if (free := plan.get("disk_free")) is not None:
        disk += f" ({_bytes(free)} free)"
    lines.append(
        f"  in all {count_of(plan['requests'], 'request')}, {_tokens(plan['prompt_tokens'])} tokens read, "
        f"{_tokens(plan['new_tokens'])} written; disk {disk}"
    )
    if plan["oracle_calls"]:
        lines.append(
            f"  oracle {plan['oracle_calls']:,} judgements by chat models, of the measurements alone"
        )
    if plan["hours"] is not None:
        lines.append(
            f"  time {_hours(plan['hours'])} on {safe(plan['hardware'])}: "
            "rough, from published peaks and usual shares of them"
        )
        if settings["model"]["engine"] != "server" and re.search(r"x\d+$", plan["hardware"]):
            several = any(t.get("gpus") for t in _settings_of_trainings(settings))
            one = f"one of these devices {'answers' if several else 'works'}"
            lines.append(
                f"  {one}: a served model (model.engine = server) would use all of them for its answers"
            )
    elif plan["seconds"] is not None:
        lines.append(f"  time about {plan['seconds'] / 60:.0f} min on two CPU cores")
    else:
        lines.append("  time not known: say --hardware NAME[xN] with --plan")
    if plan["memory_bytes"] is not None:
        on = safe(plan["hardware"])
        told = f"  memory of one device <= about {_bytes(plan['memory_bytes'])}"
        lines.append(f"{told}: {'fits' if plan['fits'] else 'does NOT fit'} {on}")
        lines += [f"    {safe(text)}" for text in plan["too_much"]]
    return [*lines, *left_out_lines(plan.get("left_out", ())), ""]


def _settings_of_trainings(settings: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    cloning = [settings["clone"]["training"]] if settings["clone"]["enabled"] else []
    return [settings["engrave"]["training"], *cloning]


def as_dict(plan: Forecast) -> dict[str, Any]:
    """The plan as plain data."""
    return asdict(plan)


def _tokens(count: float) -> str:
    return (
        f"{count / 1e6:.1f} M"
        if count >= 1e6
        else f"{count / 1e3:.1f} k"
        if count >= 1e4
        else str(int(count))
    )


def _hours(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.1f} min"


def _bytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
