"""What a run will cost before it starts: counts of model answers, oracle calls and trainings, disk and time.

Pure arithmetic on a recipe and the sizes of its data. Upper bounds where the course of the run decides: as if
every answer failed. Knows no engine and no file.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

from iteralign.recipe.iteralign import Recipe
from iteralign.report.gate import GateForecast, gate_forecast, gate_items
from iteralign.report.hardware import Device, answering_seconds, training_seconds
from iteralign.report.memory import Shape, checkpoint_bytes, needs, too_much, unfinished_bytes

CHARS_PER_TOKEN = 4
"""Of English text, roughly."""
VERDICT_TOKENS = 90
"""A reply of a judge: rough."""
PROPOSAL_TOKENS = 500
"""A reply of a proposer: rough."""
CLUSTER_TOKENS = 3_000
"""What a proposer is shown: rough."""
RECORD_BYTES = 4_000
"""Of the database, per model answer with its judgement (measured on embedded runs, rounded up)."""
TEMPLATE_TOKENS = 30
"""Of a prompt, what the chat format puts around it: rough."""
PRINCIPLE_TOKENS = 60
"""Of a principle that a reflection shows, at most: rough."""
HANDLED_BYTES = 20.0
"""Of a training, per weight, what is read and written beside it: four loads to answer, one to train, whole
weights saved, and loaded twice for their proof."""
HANDLING = 2e9
"""Bytes a second of that: rough."""

EMBEDDED_RATES: dict[str, float] = {
    "answers_per_second": 60.0,
    "judgements_per_second": 400.0,
    "examples_per_second": 20.0,
    "start_seconds": 9.0,
    "batch_seconds": 0.5,
    "training_seconds": 2.0,
}
"""Of the embedded model and oracle on two idle CPU cores: rough, from short runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What the forecast is made from. ``None`` where it is not known."""

    prompts: int
    """red-team prompts that may be trained on"""
    held_out: int
    """red-team prompts that are only measured on"""
    benign: int
    """benign prompts for replay"""
    held_out_benign: int
    """benign prompts for over-refusal"""
    tested: int = 0
    """red-team prompts of the test part"""
    tested_benign: int = 0
    """benign prompts of the test part"""
    tasks: tuple[tuple[str, int | None], ...] = ()
    """further tasks of the gate, with their items at most"""
    shape: Shape | None = None
    width: int = 2
    """bytes of a weight that answers"""
    answers_per_second: float | None = None
    """of the model, in large batches"""
    examples_per_second: float | None = None
    """of training, per epoch"""
    judgements_per_second: float | None = None
    start_seconds: float = 0.0
    """until the first answer and the first step of training: what is imported and loaded"""
    batch_seconds: float = 0.0
    """of a batch of answers beside its answers: it takes as many steps as its longest one"""
    training_seconds: float = 0.0
    """of a training beside its examples: it is set up, saved, loaded and compared"""
    judges: tuple[str, ...] = ()
    """chat models that judge each answer, the first of which proposes unless ``oracle.proposer`` does"""
    instruction_chars: int = 0
    """of the judge's instructions"""
    prompt_chars: float = 0.0
    """of a prompt, on average"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The plan that a reader sees first. Generations, oracle calls, disk and time are upper bounds."""

    prompts: int
    held_out: int
    benign: int
    held_out_benign: int
    tested: int
    """prompts of the test part, asked of base and final model"""
    iterations: int
    generations: int
    judgements: int
    proposals: int
    oracle_calls: int
    trainings: int
    examples: int
    oracle_input_tokens: int | None
    oracle_output_tokens: int | None
    oracle_cost: float | None
    oracle_unpriced: tuple[str, ...]
    disk_bytes: int | None
    """while it runs"""
    disk_left_bytes: int | None
    """when it is done"""
    seconds: float | None
    """by measured rates"""
    estimated_seconds: float | None
    """of the model alone, by the published figures of the device; None where rates were measured"""
    hardware: str | None
    memory: dict[str, int] | None
    """bytes of the device for training and for answering, and of the host; and what the device has"""
    too_much: str | None
    """why the device cannot hold the run, and what would fit"""
    gate: tuple[GateForecast, ...]
    """the gate's tests, also where it is off and they are only recorded"""


def forecast(recipe: Recipe, sizes: Sizes, device: Device | None = None) -> Forecast:
    """What the recipe will take on data of these sizes, on a device where one is known."""
    batch = min(recipe.red_team.prompts_per_iteration, sizes.prompts)
    iterations = min(recipe.stop.iterations, ceil(sizes.prompts / recipe.red_team.prompts_per_iteration))
    asked = min(sizes.prompts, iterations * batch)
    items = gate_items(recipe, sizes.held_out, sizes.held_out_benign)
    end = gate_items(recipe, sizes.tested, sizes.tested_benign, recipe.evaluation.test_share)
    tested = end["fluency"]  # every prompt of the part
    measurements = 1 + ceil(iterations / recipe.evaluation.every)  # the base model, and always the last
    measured = measurements * (items["harm"] + items["over_refusal"]) + 2 * tested
    safe = min(sizes.benign, recipe.propose.benign_prompts) * ("over_refusal" in recipe.propose.aspects)
    failures = asked + iterations * safe
    drawn = recipe.reflection.attempts * recipe.reflection.samples
    revisions = failures * drawn
    replies = 2 if recipe.reflection.form == "reflect-revise" else 1
    # what the base model answered to be replayed is not asked again to find what it refuses
    replayed = sizes.benign * (recipe.replay.samples or 1)
    answers = replayed + asked + (iterations - (recipe.replay.samples is None)) * safe + measured

    generations = answers + replies * revisions
    # a stage's answers end in a batch that is not full; harm and over-refusal are asked apart
    calls = 1 + 2 * measurements + 4 * bool(tested) + iterations * (1 + bool(safe) + replies * drawn)
    judgements = answers + revisions
    proposals = iterations * (
        ceil(batch / recipe.propose.cluster_size) + ceil(safe / recipe.propose.cluster_size)
    )
    replay = recipe.replay.revisions + recipe.replay.benign + recipe.replay.acceptable
    examples = failures + iterations * replay
    most, left = _disk(recipe, sizes, iterations, generations)
    seconds = _seconds(
        recipe,
        sizes,
        generations=generations,
        batches=generations // recipe.model.batch_size + calls,
        judgements=judgements,
        examples=examples,
        trainings=iterations,
    )
    memory, excess = _memory(recipe, sizes, device)
    return Forecast(
        prompts=sizes.prompts,
        held_out=items["harm"],
        benign=sizes.benign,
        held_out_benign=items["over_refusal"],
        tested=tested,
        iterations=iterations,
        generations=generations,
        judgements=judgements,
        proposals=proposals,
        oracle_calls=judgements * max(1, len(sizes.judges)) + proposals,
        **_spending(recipe, sizes, judgements, proposals),
        trainings=iterations,
        examples=examples,
        disk_bytes=most,
        disk_left_bytes=left,
        seconds=seconds,
        estimated_seconds=None
        if seconds is not None
        else _estimated(
            recipe, sizes, device, generations=generations, examples=examples, trainings=iterations
        ),
        hardware=None if device is None else device.name,
        memory=memory,
        too_much=excess,
        gate=gate_forecast(recipe, items, sizes.tasks),
    )


def as_dict(plan: Forecast) -> dict[str, Any]:
    """The plan as plain data."""
    return asdict(plan)


def _spending(recipe: Recipe, sizes: Sizes, judgements: int, proposals: int) -> dict[str, Any]:
    """Tokens of the oracle's chat models, and their cost.

    None without such a model; the cost is None without all prices.
    """
    if not sizes.judges:
        return {
            "oracle_input_tokens": None,
            "oracle_output_tokens": None,
            "oracle_cost": None,
            "oracle_unpriced": (),
        }
    shown = (
        sizes.instruction_chars + sizes.prompt_chars
    ) / CHARS_PER_TOKEN + recipe.red_team.sampling.max_new_tokens
    asked = [(model, round(judgements * shown), judgements * VERDICT_TOKENS) for model in sizes.judges]
    asked.append(
        (recipe.oracle.proposer or sizes.judges[0], proposals * CLUSTER_TOKENS, proposals * PROPOSAL_TOKENS)
    )
    prices = recipe.budget.prices
    costs = [(prices[m].input * i + prices[m].output * o) / 1e6 for m, i, o in asked if m in prices]
    return {
        "oracle_input_tokens": sum(i for _, i, _ in asked),
        "oracle_output_tokens": sum(o for _, _, o in asked),
        "oracle_cost": sum(costs) if len(costs) == len(asked) else None,
        "oracle_unpriced": tuple(dict.fromkeys(m for m, _, _ in asked if m not in prices)),
    }


def _disk(recipe: Recipe, sizes: Sizes, iterations: int, generations: int) -> tuple[int | None, int | None]:
    """Bytes while it runs, and when it is done: checkpoints, and the database with its exports."""
    shape = sizes.shape
    if shape is None:
        return None, None
    training = recipe.training
    served = recipe.model.engine != "hf"
    each = checkpoint_bytes(shape, training, training.keeps(shape.parameters, served=served))
    left = min(recipe.keep_checkpoints, iterations) * each + generations * RECORD_BYTES
    return int(left + each + unfinished_bytes(shape, training)), int(left)  # and the candidate


def _row_tokens(recipe: Recipe, sizes: Sizes) -> float:
    """Tokens of a prompt with its answer, at most on average: those of a revision."""
    prompt = sizes.prompt_chars / CHARS_PER_TOKEN + TEMPLATE_TOKENS
    shown = recipe.reflection.shown * PRINCIPLE_TOKENS
    return prompt + shown + 3 * recipe.reflection.sampling.max_new_tokens


def _memory(recipe: Recipe, sizes: Sizes, device: Device | None) -> tuple[dict[str, int] | None, str | None]:
    """What the run takes of the device and the host, and why it does not fit."""
    if sizes.shape is None or device is None:
        return None, None
    held: dict[str, Any] = {
        "rows": 0 if recipe.model.engine == "server" else recipe.model.batch_size,
        "tokens": _row_tokens(recipe, sizes),
        "width": sizes.width,
    }
    found = needs(sizes.shape, recipe.training, device, **held)
    memory = {
        "training": int(found.training),
        "answering": int(found.answering),
        "host": int(found.host),
        "device": int(device.hardware.memory),
    }
    return memory, too_much(sizes.shape, recipe.training, device, **held)


def _estimated(
    recipe: Recipe,
    sizes: Sizes,
    device: Device | None,
    *,
    generations: int,
    examples: int,
    trainings: int,
) -> float | None:
    """Seconds of the model by a device's published figures, as if every answer took all its tokens.

    The oracle's replies are not in it. A model in this process uses one device.
    """
    shape = sizes.shape
    if shape is None or device is None:
        return None
    answer = recipe.reflection.sampling.max_new_tokens
    row = _row_tokens(recipe, sizes)
    served = recipe.model.engine == "server"
    answering = answering_seconds(
        device.hardware,
        parameters=shape.parameters,
        cache_bytes=shape.cache_bytes,
        read=generations * (row - answer),
        written=generations * answer,
        row=row,
        batch=recipe.model.concurrency if served else recipe.model.batch_size,
        engine=recipe.model.engine,
        width=sizes.width,
    )
    lesson = sizes.prompt_chars / CHARS_PER_TOKEN + TEMPLATE_TOKENS + answer
    tokens = examples * recipe.training.epochs * min(recipe.training.max_length, lesson)
    learning = training_seconds(
        device.hardware,
        parameters=shape.parameters,
        tokens=tokens,
        adapters=recipe.training.method != "full",
    )
    if answering is None or learning is None:
        return None
    handling = trainings * HANDLED_BYTES * shape.parameters / HANDLING
    return answering / (device.count if served else 1) + learning / recipe.training.processes + handling


def _seconds(
    recipe: Recipe,
    sizes: Sizes,
    *,
    generations: int,
    batches: int,
    judgements: int,
    examples: int,
    trainings: int,
) -> float | None:
    if (
        sizes.answers_per_second is None
        or sizes.examples_per_second is None
        or sizes.judgements_per_second is None
    ):
        return None
    answering = generations / sizes.answers_per_second + batches * sizes.batch_seconds
    judging = judgements / sizes.judgements_per_second
    learning = examples * recipe.training.epochs / sizes.examples_per_second
    return sizes.start_seconds + answering + judging + learning + trainings * sizes.training_seconds
