"""Supervised fine-tuning through TRL: full weights or LoRA, loss on the answer only.

Learns in the chat format of generation. Trains full weights in float32 (in bfloat16 arithmetic on a GPU) and
saves them in float32, whatever the start was stored in: small updates would be lost in bfloat16. Knows
nothing of where the examples come from.
"""

from __future__ import annotations

import contextlib
import gc
import json
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from iteralign.canonical import content_hash
from iteralign.chat.format import encode_training, opening
from iteralign.engines.probe import Memory, write_probe
from iteralign.engines.weights import base_of, load, load_tokenizer, pick_device, pick_dtype, quiet
from iteralign.errors import ExampleTooLong, LeftOut, NoExample, TrainingError
from iteralign.recipe.sections import TrainingSection
from iteralign.records.iteralign import Checkpoint, TrainingExample
from iteralign.training.arguments import adapter, arguments, stop_when_diverged
from iteralign.training.as_it_was import AsItWas
from iteralign.training.blending import blend, trained_weights
from iteralign.training.quantised import load_in_4_bits, on_whole_weights
from iteralign.training.saving import (
    TRAINING_LOG,
    last_state,
    merged,
    must_be_finite,
    save_adapter,
    save_whole,
    seal,
)

IGNORED = -100
"""The label of a token that no loss is taken on."""
Row = dict[str, list[int]]
PART = 4096
"""Rows that are in Python lists at once; the data set itself holds 8 bytes a token."""
LIBRARIES = ("transformers", "trl", "peft", "accelerate", "datasets", "torch")


class SFT:
    """``protocols.Trainer`` on TRL's SFTTrainer.

    ``settings`` are a recipe's. With an adapter method (lora; qlora, the frozen base in 4 bits while it is
    trained on) the adapter is merged after training, so that a checkpoint is a whole model, which every
    engine serves and the next round starts from alike. With ``keep_adapter`` the checkpoint is the adapter
    alone, relative to the first base model, and the next round goes on training the same adapter: for large
    models, whose whole weights would fill the disk. qlora goes on with it on the base in 4 bits.

    An example's weight is how often it is seen in an epoch: a whole number. Examples that are too long, or
    that the chat template changes, are left out, and the log in the checkpoint's folder counts them. With
    ``save_steps`` a killed training goes on from its last trainer checkpoint. On the CPU the same start,
    examples, settings and seed give the same weights bit for bit (with the same number of threads).
    """

    def __init__(
        self,
        settings: TrainingSection,
        *,
        seed: int = 0,
        device: str = "auto",
        dtype: str = "auto",
        chat_template: str | None = None,
        locate: Callable[[Checkpoint], str],
        before: Callable[[], None] = lambda: None,
        warn: Callable[[str], None] = lambda text: None,
        began: tuple[TrainingSection, str] | None = None,
    ) -> None:
        """``began``: settings and device that a run began with, by which what it has trained is known.

        Who calls knows the model's size, and has settled ``keep_adapter``; left at ``auto`` it is false.
        """
        settings = settings.settled(None)
        if settings.keep_adapter and settings.method == "full":
            raise TrainingError(
                "keep_adapter needs training.method = lora or qlora, not 'full': "
                "full training makes no adapter"
            )
        self._settings = settings
        self._seed = seed
        self._device = device
        self._dtype = dtype
        self._template = chat_template
        self._locate = locate
        self._before = before
        self._warn = warn
        self._began = (settings, device) if began is None else (began[0].settled(None), began[1])
        self._tokenizer: Any = None
        self._left_out: Counter[str] = Counter()

    @property
    def fingerprint(self) -> str:
        """Hash of all that the result depends on, but for the data.

        That is the settings, and the chat template's text where one is brought.
        """
        template = ""
        if self._template is not None:
            # an unreadable one is an error where it is used
            with contextlib.suppress(OSError, UnicodeDecodeError):
                template = Path(self._template).read_text(encoding="utf-8")
        settings, device = self._began
        return content_hash("sft-2", [self._depended_on(settings), device, self._dtype, template])[:16]

    def _depended_on(self, settings: TrainingSection) -> dict[str, Any]:
        """The settings that the result depends on, as plain data.

        How often it is saved changes nothing, and fewer lessons than the least are never given.
        """
        # keys that came later, and are not given, leave what older runs trained as it is known
        later = {"blend"} - {k for k in ("blend",) if getattr(settings, k) is not None}
        return settings.model_dump(exclude={"save_steps", "min_lessons"} | later) | {"seed": self._seed}

    def unfit(self, start: Checkpoint, examples: Collection[TrainingExample]) -> dict[str, str]:
        """Example id -> why it cannot be trained on (``protocols.Selective``)."""
        if self._tokenizer is None:
            quiet()
            self._tokenizer = load_tokenizer(self._locate(start), self._template, self._warn)
        found: dict[str, str] = {}
        for example in examples:
            try:
                self._encoded(self._tokenizer, example)
            except LeftOut as error:
                found[example.id] = f"{error.why}: {error}"
        return found

    def finetune(self, start: Checkpoint, examples: Collection[TrainingExample], out: Path) -> Checkpoint:
        """Train from ``start`` and leave model, tokenizer, probe and training log in ``out``.

        The checkpoint's ``path`` is ``out``, its ``weights_hash`` empty: the store knows better. Raises
        ``TrainingError``, and ``EngineError`` where ``start`` cannot be loaded. Ctrl-C passes through;
        trainer checkpoints stay in ``out``.
        """
        self._before()  # the engine gives its memory back
        made = Checkpoint(
            path=str(out),
            parent=start.id,
            data_hash=content_hash([e.id for e in examples])[:20],
            trainer_hash=self.fingerprint,
            adapter=bool(self._settings.keep_adapter),
        )
        try:
            with warnings.catch_warnings():
                # they are to the callers of these libraries, not to our users
                warnings.filterwarnings("ignore", module=rf"({'|'.join(LIBRARIES)})(\.|$)")
                memory = self._train(start, examples, out, attempt=made.id)
                _sweep()  # what was trained makes room for what was saved
                write_probe(out, memory, template=self._template, warn=self._warn)
                seal(out)
        finally:
            _sweep()
        return made

    def _train(
        self, start: Checkpoint, examples: Collection[TrainingExample], out: Path, attempt: str
    ) -> Memory:
        quiet()
        import torch
        from transformers import set_seed
        from trl import SFTTrainer

        s = self._settings
        device = pick_device(self._device)
        precision = pick_dtype(self._dtype, device)
        place = self._locate(start)
        lora = s.method in ("lora", "qlora")
        quantised = s.method == "qlora"
        goes_on = bool(s.keep_adapter) and base_of(place) is not None
        how: dict[str, Any] = {
            "precision": precision if lora else "float32",
            "template": self._template,
            "warn": self._warn,
        }
        # a frozen base may be narrow, what is trained may not
        model, tokenizer = (
            load_in_4_bits(place, device=device, goes_on=goes_on, **how)
            if quantised
            else load(place, device="cpu", adapter="trained" if goes_on else "merged", **how)
        )
        was = AsItWas(model)
        if not lora:
            model.requires_grad_(True)  # merging an adapter leaves its base frozen
        before = trained_weights(model) if s.blend and (goes_on or not lora) else None
        data, known = _dataset(self._rows(tokenizer, examples))
        state = last_state(out, attempt)
        set_seed(self._seed)
        trainer = SFTTrainer(
            model=model,
            args=arguments(s, out, device=device, bf16=precision == "bfloat16", seed=self._seed),
            train_dataset=data,
            processing_class=tokenizer,
            peft_config=adapter(s) if lora and not goes_on else None,
            callbacks=[stop_when_diverged(s.learning_rate)],
        )
        trainer.remove_callback(_printer())
        _assert_one_format(trainer, known)
        try:
            trainer.train(resume_from_checkpoint=str(state) if state else None)
        except torch.OutOfMemoryError as error:
            raise TrainingError(
                f"training ran out of memory on {device}: halve training.batch_size ({s.batch_size}) "
                f"and double training.gradient_accumulation ({s.gradient_accumulation}), "
                "or use training.method = lora"
            ) from error
        losses = [{"step": h["step"], "loss": h["loss"]} for h in trainer.state.log_history if "loss" in h]
        # without the wrapper, else the probe would run in bfloat16
        trained = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
        must_be_finite(trained, losses, s.learning_rate)
        if s.blend:
            blend(trained, before, s.blend)
        if quantised or (lora and precision != "float32" and not s.keep_adapter):
            # the sum is kept in float32, and so is what it is added to
            wide = how if s.keep_adapter else how | {"precision": "float32"}
            del model, trainer
            under = (base_of(place) if goes_on else None) or place
            trained = on_whole_weights(trained, under, out, **wide)
            was = AsItWas(trained.get_base_model())
        if s.keep_adapter:
            memory = save_adapter(trained, tokenizer, out)
        else:
            whole = merged(trained, self._warn, serving=precision) if lora else trained
            memory = save_whole(whole, tokenizer, out, was)
        log = {
            "settings": self._depended_on(s),
            "start": start.id,
            "examples": len(examples),
            "rows": len(data),
            "left_out": dict(sorted(self._left_out.items())),
            "losses": losses,
        }
        (out / TRAINING_LOG).write_text(json.dumps(log, indent=1), encoding="utf-8")
        return memory

    def _rows(self, tokenizer: Any, examples: Collection[TrainingExample]) -> Iterator[Row]:
        """What is trained on, by the chat format of generation.

        Token ids, and labels that leave out the prompt.
        """
        if not examples:
            raise TrainingError("there is no example to train on")
        self._left_out = Counter()
        first: dict[str, LeftOut] = {}
        for example in examples:
            try:
                ids, learnt = self._encoded(tokenizer, example)
            except LeftOut as error:
                self._left_out[error.why] += 1
                first.setdefault(error.why, error)
                continue
            row = {
                "input_ids": ids,
                "labels": [t if wanted else IGNORED for t, wanted in zip(ids, learnt, strict=True)],
            }
            yield from [row] * int(example.weight)
        if first:
            reasons = "; ".join(
                f"{self._left_out[why]} {error.why}, such as {error}" for why, error in first.items()
            )
            if self._left_out.total() == len(examples):
                raise TrainingError(f"none of {len(examples)} examples can be trained on: {reasons}")
            left_out = f"{self._left_out.total()} of {len(examples)} examples"
            self._warn(f"training: {left_out} are left out (none is cut): {reasons}")

    def _encoded(self, tokenizer: Any, example: TrainingExample) -> tuple[list[int], list[bool]]:
        """An example's token ids, and which of them are learnt. Raises ``LeftOut``."""
        times = example.weight
        if times < 1 or times != int(times):
            raise NoExample(
                f"{opening(example.messages)} with the weight {times:g}; "
                "a weight is how often an example is seen: 1, 2, 3, ..."
            )
        if example.messages[-1].role != "assistant":
            raise NoExample(
                f"{opening(example.messages)} ends with the turn of the {example.messages[-1].role}: "
                "the last turn is what is learnt"
            )
        ids, learnt = encode_training(tokenizer, example.messages)
        if len(ids) > self._settings.max_length:
            raise ExampleTooLong(
                f"{opening(example.messages)} with {len(ids):,} tokens; training.max_length is "
                f"{self._settings.max_length:,}, which a resume may raise"
            )
        return ids, learnt


def _dataset(rows: Iterable[Row]) -> tuple[Any, set[int]]:
    """The rows as a data set, and the hashes of all rows.

    It is made in parts, so that no more than one is in Python lists at once.
    """
    from datasets import Dataset, Features, Sequence, Value, concatenate_datasets, disable_progress_bars

    disable_progress_bars()
    features = Features({"input_ids": Sequence(Value("int32")), "labels": Sequence(Value("int32"))})
    parts = []
    known: set[int] = set()
    for part in batched(rows, PART):
        parts.append(Dataset.from_list(part, features=features))
        known |= {_hash(r["input_ids"], r["labels"]) for r in part}
    return concatenate_datasets(parts), known


def _hash(ids: list[int], labels: list[int]) -> int:
    return hash((tuple(ids), tuple(labels)))


def batched(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    """Lists of at most ``size`` rows."""
    it = iter(rows)
    while part := list(islice(it, size)):
        yield part


def _assert_one_format(trainer: Any, known: set[int]) -> None:
    """The trainer's own collator makes of its first rows what the chat format gives.

    Token for token and label for label: a version of TRL that tokenised or masked anew would train on
    something that is never generated. A packed row is taken apart at the positions that begin anew. Raises
    ``TrainingError``.
    """
    data = trainer.train_dataset
    batch = trainer.data_collator([data[i] for i in range(min(4, len(data)))])
    ids = batch["input_ids"].tolist()
    labels = batch["labels"].tolist()
    found: list[tuple[list[int], list[int]]] = []
    if "attention_mask" in batch:
        for row, wanted, real in zip(ids, labels, batch["attention_mask"].sum(-1).tolist(), strict=True):
            found.append((row[:real], wanted[:real]))
    else:
        cuts = [i for i, p in enumerate(batch["position_ids"][0].tolist()) if p == 0] + [len(ids[0])]
        found = [(ids[0][a:b], labels[0][a:b]) for a, b in pairwise(cuts)]
    if not found or any(_hash(a, b) not in known for a, b in found):
        raise TrainingError(
            "training would see other tokens, or learn other ones, than the chat format gives: "
            "this version of TRL prepares ready-made rows in another way. "
            "Use the versions that iteralign is tested with (constraints.txt)"
        )


def _printer() -> Any:
    from transformers.trainer_callback import PrinterCallback

    return PrinterCallback


def _sweep() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
