"""Supervised fine-tuning through TRL: full weights or LoRA, loss on the answer only.

Learns in the chat format of generation. Saves full weights as they were held: in float32, or in bfloat16
where a recipe asks for that. Knows nothing of where the examples come from.
"""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from iteralign.canonical import content_hash
from iteralign.engines.probe import Memory, write_probe
from iteralign.engines.weights import load_tokenizer, quiet
from iteralign.errors import LeftOut, TrainingError
from iteralign.recipe.training import TrainingSection
from iteralign.records.iteralign import Checkpoint, TrainingExample
from iteralign.training.fit import Work, fit, sweep
from iteralign.training.ranks import fit_on_ranks
from iteralign.training.rows import encoded
from iteralign.training.saving import TRAINING_LOG, seal

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
        given = settings.model_dump(exclude={"save_steps", "min_lessons"}, exclude_none=True)
        return given | {"seed": self._seed}

    def unfit(self, start: Checkpoint, examples: Collection[TrainingExample]) -> dict[str, str]:
        """Example id -> why it cannot be trained on (``protocols.Selective``)."""
        if self._tokenizer is None:
            quiet()
            self._tokenizer = load_tokenizer(self._locate(start), self._template, self._warn)
        found: dict[str, str] = {}
        for example in examples:
            try:
                encoded(self._tokenizer, example, self._settings.max_length)
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
                sweep()  # what was trained makes room for what was saved
                write_probe(out, memory, template=self._template, warn=self._warn)
                seal(out)
        finally:
            sweep()
        return made

    def _train(
        self, start: Checkpoint, examples: Collection[TrainingExample], out: Path, attempt: str
    ) -> Memory:
        work = Work(
            settings=self._settings,
            seed=self._seed,
            device=self._device,
            dtype=self._dtype,
            template=self._template,
            place=self._locate(start),
            out=out,
            attempt=attempt,
        )
        if self._settings.processes > 1:
            found = fit_on_ranks(work, examples, self._warn)
        else:
            alone = fit(work, examples, self._warn)
            assert alone is not None
            found = alone
        log = {
            "settings": self._depended_on(self._settings),
            "start": start.id,
            "examples": len(examples),
            "rows": found.rows,
            "left_out": found.left_out,
            "losses": found.losses,
        }
        (out / TRAINING_LOG).write_text(json.dumps(log, indent=1), encoding="utf-8")
        return found.memory
