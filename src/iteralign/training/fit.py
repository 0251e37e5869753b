"""One training in this process: weights and rows in, trained weights saved.

Loads a start, trains it through TRL, and saves it. Full weights are held in float32 (in bfloat16 arithmetic
on a GPU) unless the recipe says otherwise. Knows nothing of checkpoints' records and of other processes.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from iteralign.engines.probe import Memory
from iteralign.engines.weights import base_of, load, pick_device, pick_dtype, quiet
from iteralign.errors import TrainingError
from iteralign.recipe.training import TrainingSection
from iteralign.records.iteralign import TrainingExample
from iteralign.training.activations import checkpoint_every_second
from iteralign.training.arguments import adapter, arguments, stop_when_diverged
from iteralign.training.as_it_was import AsItWas
from iteralign.training.blending import blend, trained_weights
from iteralign.training.optimizers import optimizer, rounded_alike, step_by_step
from iteralign.training.process_group import compute_in_bfloat16, fill, gathered, join, leave
from iteralign.training.quantised import load_in_4_bits, on_whole_weights
from iteralign.training.rows import Rows, assert_one_format, dataset
from iteralign.training.saving import last_state, merged, must_be_finite, save_adapter, save_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one training is given. ``place``: the start's weights; ``attempt``: names the training.

    ``state``: the trainer checkpoint that several processes go on from; one alone finds it by itself.
    """

    settings: TrainingSection
    seed: int
    device: str
    dtype: str
    template: str | None
    place: str
    out: Path
    attempt: str
    state: Path | None = None

    @property
    def adapts(self) -> bool:
        """Whether an adapter is trained, and not the weights."""
        return self.settings.method != "full"

    @property
    def goes_on(self) -> bool:
        """Whether the start's adapter is trained on."""
        return bool(self.settings.keep_adapter) and base_of(self.place) is not None

    @property
    def begins_adapter(self) -> bool:
        """Whether a new adapter is trained, which begins as no change at all."""
        return self.adapts and not self.goes_on


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What a training came to. ``losses``: one for each step; ``left_out``: reasons and how many."""

    memory: Memory
    rows: int
    losses: list[dict[str, float]]
    left_out: dict[str, int]


def fit(work: Work, examples: Collection[TrainingExample], warn: Callable[[str], None]) -> Fitted | None:
    """Train and save; one of several processes returns None but for the first.

    Raises ``TrainingError``, and ``EngineError`` where the start cannot be loaded.
    """
    quiet()
    from transformers import set_seed

    s = work.settings
    device = pick_device(work.device)
    if s.processes > 1:
        join(s, device)
    precision = pick_dtype(work.dtype, device)
    model, tokenizer = started(work, device, precision, warn)
    was = AsItWas(model)
    rows = Rows(tokenizer, s.max_length, warn)
    blends = s.blend and s.processes == 1 and not work.begins_adapter
    before = trained_weights(model) if blends else None
    data, known = dataset(rows.of(examples))
    state = last_state(work.out, work.attempt, s) if s.processes == 1 else work.state
    set_seed(work.seed)
    trainer = trainer_of(work, model, tokenizer, data, device=device, precision=precision)
    assert_one_format(trainer, known)
    run(trainer, s, device, state)
    losses = [{"step": h["step"], "loss": h["loss"]} for h in trainer.state.log_history if "loss" in h]
    if s.processes > 1:
        parts = gathered(trainer.model, s)
        del model, trainer
        sweep()
        if not leave():
            return None
        trained, was = _whole(work, parts, precision, warn)
        must_be_finite(trained, losses, s.learning_rate)
        memory = save(trained, tokenizer, work, was, precision, warn)
        return _fitted(memory, data, losses, rows)
    # without the wrapper, else the probe would run in bfloat16
    trained = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    must_be_finite(trained, losses, s.learning_rate)
    if s.blend:
        blend(trained, before, s.blend)
    if s.method == "qlora" or (work.adapts and precision != "float32" and not s.keep_adapter):
        del model, trainer
        trained = _on_whole_weights(trained, work, precision, warn)
        was = AsItWas(trained.get_base_model())
    memory = save(trained, tokenizer, work, was, precision, warn)
    return _fitted(memory, data, losses, rows)


def _fitted(memory: Memory, data: Any, losses: list[dict[str, float]], rows: Rows) -> Fitted:
    left_out = dict(sorted(rows.left_out.items()))
    return Fitted(memory=memory, rows=len(data), losses=losses, left_out=left_out)


def _whole(
    work: Work, parts: dict[str, Any], precision: str, warn: Callable[[str], None]
) -> tuple[Any, AsItWas]:
    """The trained weights, gathered from all processes, in a model on the CPU."""
    from peft import get_peft_model

    s = work.settings
    merges = work.adapts and not s.keep_adapter
    alone = replace(work, settings=s.model_copy(update={"method": "lora"})) if s.method == "qlora" else work
    # a sum is kept in float32, and so is what it is added to
    model, _ = started(alone, "cpu", "float32" if merges else precision, warn)
    was = AsItWas(model)
    if work.begins_adapter:
        model = get_peft_model(model, adapter(s))
    before = trained_weights(model) if s.blend and not work.begins_adapter else None
    fill(model, parts)
    if s.blend:
        blend(model, before, s.blend)
    return model, was


def started(work: Work, device: str, precision: str, warn: Callable[[str], None]) -> tuple[Any, Any]:
    """Model and tokenizer as a training starts: the base of a new adapter, an adapter that goes on, or all.

    A frozen base may be narrow; what is trained may be only where the recipe says so.
    """
    s = work.settings
    how: dict[str, Any] = {
        "precision": precision if work.adapts else s.held_in,
        "template": work.template,
        "warn": warn,
    }
    if s.method == "qlora":
        own = f"{device}:{os.environ.get('LOCAL_RANK', '0')}" if device == "cuda" else device
        return load_in_4_bits(work.place, device=own, goes_on=work.goes_on, split=s.shares > 1, **how)
    model, tokenizer = load(work.place, device="cpu", adapter="trained" if work.goes_on else "merged", **how)
    if not work.adapts:
        model.requires_grad_(True)  # merging an adapter leaves its base frozen
    return model, tokenizer


def trainer_of(work: Work, model: Any, tokenizer: Any, data: Any, *, device: str, precision: str) -> Any:
    """TRL's trainer, set up as the recipe says."""
    from transformers.trainer_callback import PrinterCallback
    from trl import SFTTrainer

    s = work.settings
    if s.attention == "flash":
        _use_flash(model)
    if s.activation_checkpointing == "selective":
        checkpoint_every_second(model)
    callbacks = [stop_when_diverged(s.learning_rate)]
    if s.held_in == "bfloat16" and s.processes > 1:
        callbacks.append(rounded_alike(work.seed))
    # weights that are held in bfloat16 need no casts
    mixed = precision == "bfloat16" and s.held_in == "float32"
    trainer = SFTTrainer(
        model=model,
        args=arguments(s, work.out, device=device, bf16=mixed, seed=work.seed),
        train_dataset=data,
        processing_class=tokenizer,
        peft_config=adapter(s) if work.begins_adapter else None,
        callbacks=callbacks,
        optimizer_cls_and_kwargs=optimizer(s),
    )
    trainer.remove_callback(PrinterCallback)
    if s.shares > 1 and mixed:
        compute_in_bfloat16(trainer)
    return trainer


def run(trainer: Any, settings: TrainingSection, device: str, state: Path | None) -> None:
    """Train, from a trainer checkpoint where there is one. Raises ``TrainingError`` without memory."""
    import torch

    try:
        with step_by_step(settings, device):
            trainer.train(resume_from_checkpoint=str(state) if state else None)
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            f"training ran out of memory on {device}: halve training.batch_size ({settings.batch_size}) "
            f"and double training.gradient_accumulation ({settings.gradient_accumulation}), "
            "or use training.method = lora"
        ) from error


def save(
    trained: Any, tokenizer: Any, work: Work, was: AsItWas, precision: str, warn: Callable[[str], None]
) -> Memory:
    """Leave the trained weights in the folder. Returns what was in memory, for the proof."""
    if work.settings.keep_adapter:
        return save_adapter(trained, tokenizer, work.out, precision=precision)
    whole = merged(trained, warn, serving=precision) if work.adapts else trained
    return save_whole(whole, tokenizer, work.out, was, precision=work.settings.held_in)


def sweep() -> None:
    """Give memory back that nothing refers to."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _on_whole_weights(trained: Any, work: Work, precision: str, warn: Callable[[str], None]) -> Any:
    """The adapter on its base as it is saved: a sum is kept in float32, and so is what it is added to."""
    under = (base_of(work.place) if work.goes_on else None) or work.place
    wide = precision if work.settings.keep_adapter else "float32"
    return on_whole_weights(trained, under, work.out, precision=wide, template=work.template, warn=warn)


def _use_flash(model: Any) -> None:
    """FlashAttention in place of torch's own. Raises ``TrainingError`` where it cannot run."""
    try:
        model.set_attn_implementation("flash_attention_2")
    except (ImportError, ValueError) as error:
        raise TrainingError(
            f"training.attention = flash cannot be used here ({error}): install flash-attn on a machine with "
            "a GPU that it supports, or use training.attention = sdpa"
        ) from error
