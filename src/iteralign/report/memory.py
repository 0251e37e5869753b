"""What a model's training, its answers and its checkpoints take: bytes, from its shape and a training.

Shared by both methods' plans. Pure arithmetic, held against measured runs by a test; sees no device, no file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from iteralign.recipe.training import TrainingSection
from iteralign.report.hardware import KNOWN, Device, Hardware
from iteralign.report.plan import in_bytes
from iteralign.text.printable import count_of

USABLE: Final = 0.95
"""Of a device's memory, what a run may take: the rest are the driver's and fragments."""
PROCESS: Final = 0.8e9
"""Of the host, what Python and its libraries take."""
NF4: Final = 0.52
"""Bytes of a weight in 4 bits with its doubly quantised scales."""
EIGHT_BIT: Final = 2 * (1 + 4 / 256)
"""Bytes of a weight's two moments in 8 bits, with a scale for each 256."""
FOLDER: Final = 0.5e6
"""Of a checkpoint's folder beside weights: tokenizer, configuration, probe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A transformer's size. ``cache_bytes``: of keys and values per token, in 16 bit."""

    parameters: float
    layers: int
    hidden: int
    inner: int
    vocabulary: int
    cache_bytes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """Bytes at most. ``training`` and ``answering``: of the device, which do not meet; ``least``: of answers
    one at a time, to which batches shrink; ``host``: of the machine beside the device.
    """

    training: float
    answering: float
    least: float
    host: float

    @property
    def device(self) -> float:
        """What the device must have."""
        return max(self.training, self.least)


def adapter_parameters(shape: Shape, rank: int) -> float:
    """Weights of an adapter of all linear layers, at most: as if no head shared keys and values."""
    return rank * shape.layers * (4 * 2 * shape.hidden + 3 * (shape.hidden + shape.inner))


def trained_parameters(shape: Shape, training: TrainingSection) -> float:
    """Weights that a training changes."""
    return shape.parameters if training.method == "full" else adapter_parameters(shape, training.lora_r)


def trained_bytes(training: TrainingSection) -> tuple[float, float]:
    """Bytes of a trained weight, as of its gradient, and of its two moments."""
    held = 2 if training.held_in == "bfloat16" else 4
    return held, EIGHT_BIT if training.optimizer == "adamw-8bit" else 2 * held


def training_bytes(shape: Shape, training: TrainingSection, *, width: int = 2, on_cpu: bool = False) -> float:
    """Peak of one device, as if every batch were full of the longest examples.

    ``width``: bytes of a frozen weight, and of an activation. Weights, gradients and moments are split over
    ``training.shares`` devices, examples over ``training.processes``. Two moments are the peak: the loss,
    before there are gradients, and the first layer, when all are there.
    """
    trained = trained_parameters(shape, training)
    rows = 2 * shape.vocabulary * shape.hidden  # embedding and head stay out of the 4 bits
    frozen = {
        "full": 0.0,
        "lora": width * shape.parameters,
        "qlora": NF4 * max(0.0, shape.parameters - rows) + width * min(rows, shape.parameters),
    }[training.method]
    held, moments = trained_bytes(training)
    shares = training.shares
    tokens = training.batch_size / training.processes * training.max_length
    number = 4 if on_cpu or width == 4 else 2
    kind = training.activation_checkpointing or ("none" if on_cpu else "full")
    layer = tokens * number * (8 * shape.hidden + 4 * shape.inner)
    inputs = tokens * number * shape.hidden
    # of a layer whose activations stay: what its norms, products, rotations and gates need of the forward
    whole = tokens * number * ((13 if training.method == "full" else 16) * shape.hidden + 4 * shape.inner)
    recomputed = {"full": 1.0, "selective": 0.5, "none": 0.0}[kind] * shape.layers
    kept = inputs * recomputed + whole * (shape.layers - recomputed)
    loss = tokens * shape.vocabulary * 10
    states = (frozen + (held + moments) * trained) / shares
    gradients = held * trained / shares
    waiting = gradients if training.gradient_accumulation > 1 else 0.0
    # the layer that computes, and the next one on its way
    gathered = 2 * shape.parameters / shape.layers * width if shares > 1 else 0.0
    # 4 bits are loaded whole by each process, before they are split
    first = frozen if training.method == "qlora" else 0.0
    return max(first, max(states + waiting + kept + loss, states + gradients + layer) + gathered)


def answering_bytes(shape: Shape, *, rows: int, tokens: float, width: int = 2) -> float:
    """Weights, and keys and values of a batch: ``tokens`` of a prompt with its answer."""
    return width * shape.parameters + rows * tokens * shape.cache_bytes * width / 2


def checkpoint_bytes(shape: Shape, training: TrainingSection, keeps_adapter: bool) -> float:
    """A checkpoint: whole, as its weights were held, or its adapter alone."""
    if keeps_adapter:
        return 4 * adapter_parameters(shape, training.lora_r) + FOLDER
    return trained_bytes(training)[0] * shape.parameters + FOLDER


def unfinished_bytes(shape: Shape, training: TrainingSection) -> float:
    """What a training lays down to go on from: weights and two moments, the new one beside the old."""
    if training.save_steps is None:
        return 0.0
    return 2 * sum(trained_bytes(training)) * trained_parameters(shape, training)


def host_bytes(shape: Shape, training: TrainingSection, *, width: int) -> float:
    """What a host holds of weights: of a start, once for each process that loads it; of what is gathered from
    several, with the model that it is put into; of a start to blend with; and of the proof.
    """
    loaded = (trained_bytes(training)[0] if training.method == "full" else width) * shape.parameters
    copies = training.processes if training.shares == 1 else 1
    if training.method == "full":
        together = max(copies, 2 if training.processes > 1 else 1)
        return together * loaded + _blended(shape, training)
    # the base of an adapter that is kept is proven as it is
    return max(copies * loaded, loaded if training.keeps(shape.parameters) else 4 * shape.parameters)


def _blended(shape: Shape, training: TrainingSection) -> float:
    """The start's weights, which wait on the host for the trained ones: those of an adapter are few."""
    return 4 * shape.parameters if training.blend and training.method == "full" else 0.0


def needs(
    shape: Shape, training: TrainingSection, device: Device, *, rows: int, tokens: float, width: int
) -> Needs:
    """What a run takes of a device and of its host. ``rows``: answers at once, 0 where a server answers.

    A training is made ready on the host, and what was saved is loaded there again for its proof.
    """
    on_cpu = device.kind == "cpu"
    learning = training_bytes(shape, training, width=width, on_cpu=on_cpu)
    answering = answering_bytes(shape, rows=rows, tokens=tokens, width=width) if rows else 0.0
    least = answering_bytes(shape, rows=1, tokens=tokens, width=width) if rows else 0.0
    host = host_bytes(shape, training, width=width)
    if not on_cpu:
        return Needs(training=learning, answering=answering, least=least, host=host + PROCESS)
    waiting = _blended(shape, training) if training.processes == 1 else 0.0
    learning = max(learning * training.processes + waiting, host)
    return Needs(
        training=learning + PROCESS,
        answering=answering + PROCESS,
        least=least + PROCESS,
        host=max(learning, least) + PROCESS,
    )


def fits(need: Needs, hardware: Hardware) -> bool:
    """Whether a device has what a run must have of it."""
    return need.device <= hardware.memory * USABLE


def too_much(
    shape: Shape,
    training: TrainingSection,
    device: Device,
    *,
    rows: int,
    tokens: float,
    width: int,
    key: str = "training",
) -> str | None:
    """Say that a device cannot hold a run, and what would fit; None where it can.

    ``key``: what the recipe calls the training.
    """

    def need(section: TrainingSection, on: Device = device) -> Needs:
        return needs(shape, section, on, rows=rows, tokens=tokens, width=width)

    if training.processes > device.count:
        return (
            f"{key}.gpus = {training.processes}, and {device.name} is {count_of(device.count, 'device')}: "
            f"set {key}.gpus = {device.count}"
        )
    now = need(training)
    if device.host is not None and now.host > device.host and device.kind == "gpu":
        return (
            f"the host needs about {in_bytes(now.host)} to load and to prove weights, and has "
            f"{in_bytes(device.host)}: take a machine with more memory, or a smaller model"
        )
    if fits(now, device.hardware):
        return None
    size = f"{shape.parameters / 1e9:.1f} billion weights"
    each = "each device of " if device.count > 1 else ""
    has = f"{each}{device.name} has {in_bytes(device.hardware.memory)}"
    others = _elsewhere(training, need, key, served=not rows)
    if now.least > device.hardware.memory * USABLE:
        what = f"answering with {size} needs about {in_bytes(now.least)}, and {has}"
        return f"{what}: {others or 'no known device holds it: take a smaller model'}"
    what = f"{key}.method = {training.method} on {size} needs about {in_bytes(now.training)}, and {has}"
    count = device.count if device.kind == "gpu" else 1
    for changed, said in _changes(training, key, quantised=device.kind == "gpu" and rows > 0, count=count):
        if fits(need(changed), device.hardware):
            fitting = f"{said} fits in {in_bytes(need(changed).training)}"
            whole = others is not None and " and " not in others
            return f"{what}: {fitting}" + (f", or {others}" if whole else "")
    return f"{what}: {others or 'no training of it fits a known device: take a smaller model'}"


def _elsewhere(
    training: TrainingSection, need: Callable[[TrainingSection, Device], Needs], key: str, *, served: bool
) -> str | None:
    """The smallest known device that holds the run, as it is or with a change; None where none does."""
    gpus = sorted((x for x in KNOWN.items() if x[0] != "cpu"), key=lambda x: x[1].memory)
    for changed, said in [(training, ""), *_changes(training, key, quantised=not served)]:
        for name, known in gpus:
            if fits(need(changed, Device(name=name, hardware=known)), known):
                return f"take a device with more memory ({name})" + (f" and {said}" if said else "")
    return None


def _changes(
    training: TrainingSection, key: str, *, quantised: bool, count: int = 1
) -> Iterator[tuple[TrainingSection, str]]:
    """Trainings that take less, and how a recipe asks for each: the least change first."""
    yield from _held_otherwise(training, key, count)
    methods = ["full", "lora", *(["qlora"] if quantised else [])]
    for method in methods[methods.index(training.method) if training.method in methods else 1 :]:
        size = training.batch_size
        steps = training.gradient_accumulation
        update: dict[str, object] = {"method": method}
        said = [f"{key}.method = {method}"] if method != training.method else []
        if said and training.weights is not None:
            update["weights"] = None
            said.append(f"{key}.weights = null")
        while True:
            smaller = [f"{key}.batch_size = {size}", f"{key}.gradient_accumulation = {steps}"]
            words = [*said, *(smaller if size != training.batch_size else [])]
            update |= {"batch_size": size, "gradient_accumulation": steps}
            changed = training.model_copy(update=update)
            if _is_taken(changed):
                yield changed, ", ".join(words)
            if size % (2 * training.processes):
                break
            size //= 2
            steps *= 2


def _is_taken(training: TrainingSection) -> bool:
    """Whether a recipe may ask for it."""
    try:
        TrainingSection.model_validate(training.model_dump())
    except ValidationError:
        return False
    return True


def _held_otherwise(training: TrainingSection, key: str, count: int) -> Iterator[tuple[TrainingSection, str]]:
    """The same method and the same steps, with weights and moments held in other ways."""
    changes: list[dict[str, object]] = []
    if training.activation_checkpointing in ("none", "selective"):
        changes.append({"activation_checkpointing": "full"})
    if training.processes < count and not training.batch_size % count:
        # weights that are split are held in float32
        changes.append({"gpus": count} | ({} if training.strategy == "ddp" else {"weights": None}))
    if training.method == "full":
        changes.append({"optimizer": "adamw-8bit"})
        if training.shares == 1 and not any("gpus" in change for change in changes):
            changes.append({"weights": "bfloat16"})
    so_far: dict[str, object] = {}
    for change in changes:
        so_far |= change
        new = {k: v for k, v in so_far.items() if getattr(training, k) != v}
        if new:
            words = ", ".join(f"{key}.{k} = {'null' if v is None else v}" for k, v in new.items())
            changed = training.model_copy(update=so_far)
            if _is_taken(changed):
                yield changed, words
