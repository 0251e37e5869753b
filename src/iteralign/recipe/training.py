"""The section of a recipe about fine-tuning: what is trained, how weights are held, and on how many GPUs.

Reads no file and knows no engine and no trainer.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from iteralign.recipe.sections import Section

LARGE = 1e9
"""Weights above which a checkpoint is an adapter alone unless a recipe says otherwise."""


class TrainingSection(Section):
    """Supervised fine-tuning (TRL)."""

    method: Literal["full", "lora", "qlora"] = Field(
        "full",
        description=(
            "all weights, low-rank adapters, or such on a base in 4 bits (NF4; needs `iteralign[qlora]`)"
        ),
    )
    learning_rate: float = Field(2e-4, gt=0, description="peak")
    epochs: int = Field(2, ge=1, description="passes over the examples")
    batch_size: int = Field(16, ge=1, description="examples per step")
    gradient_accumulation: int = Field(1, ge=1, description="steps per update")
    max_length: int = Field(512, ge=8, description="tokens per example; longer ones are left out")
    min_lessons: int = Field(
        4,
        ge=1,
        description=(
            "fewer lessons are not trained on: they wait for the next iteration (Self-Align: the run stops)"
        ),
    )
    warmup_steps: int = Field(0, ge=0, description="linear warm-up")
    weight_decay: float = Field(0.0, ge=0, description="AdamW")
    blend: float | None = Field(
        None,
        gt=0,
        le=1,
        description=(
            "how far the new weights go from the old ones towards the trained ones (weight interpolation, "
            "arXiv 2109.01903): less than 1 gives up some of what was learnt and keeps more of what was known"
        ),
    )
    schedule: Literal["linear", "cosine", "constant"] = Field(
        "linear", description="decay of the learning rate"
    )
    lora_r: int = Field(16, ge=1, description="rank")
    lora_alpha: int = Field(32, ge=1, description="scale")
    lora_dropout: float = Field(0.0, ge=0, lt=1, description="dropout")
    keep_adapter: Literal[True, False, "auto"] = Field(
        "auto",
        description=(
            "checkpoints are adapters alone, relative to the first model, and one goes on; served beside the "
            "base, so that bfloat16 rounds no small change away; not for `full`. auto: true for `lora` and "
            "`qlora` on more than 10^9 weights, and where a server answers"
        ),
    )
    packing: bool = Field(False, description="pack short examples into rows")
    save_steps: int | None = Field(
        None, ge=1, description="trainer checkpoints, so that a killed training continues"
    )

    weights: Literal["float32", "bfloat16"] | None = Field(
        None,
        description=(
            "what `full` holds weights and gradients in: float32 where not given; bfloat16 takes half of it, "
            "is rounded stochastically, and needs `optimizer: adamw-8bit`"
        ),
    )
    optimizer: Literal["adamw", "adamw-8bit"] | None = Field(
        None,
        description=(
            "adamw where not given; `adamw-8bit` holds its moments in 8 bits (needs `iteralign[lowbit]`)"
        ),
    )
    activation_checkpointing: Literal["full", "selective", "none"] | None = Field(
        None,
        description=(
            "activations that the backward pass computes anew: all of every layer (`full`, on GPUs where not "
            "given), of every second layer (`selective`: more memory, less time), or none (`none`, on CPUs "
            "where not given)"
        ),
    )
    attention: Literal["sdpa", "flash"] | None = Field(
        None, description="torch's own where not given; `flash` needs a GPU and the package flash-attn"
    )
    gpus: int | None = Field(
        None, ge=1, description="GPUs that share a step's examples, one process each; 1 where not given"
    )
    strategy: Literal["fsdp", "ddp"] | None = Field(
        None,
        description=(
            "how `gpus` share the model: each holds a part of weights and moments (`fsdp`, where not given), "
            "or all of them (`ddp`)"
        ),
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.weights == "bfloat16" and self.method != "full":
            raise ValueError(
                f"training.weights = 'bfloat16' is for training.method = 'full', not {self.method!r}, whose "
                "frozen base is held in model.dtype: set training.weights = null"
            )
        if self.weights == "bfloat16" and self.optimizer != "adamw-8bit":
            raise ValueError(
                "training.weights = 'bfloat16' needs training.optimizer = 'adamw-8bit', which rounds "
                "stochastically: plain rounding would lose small updates"
            )
        if self.strategy is not None and self.processes == 1:
            raise ValueError(
                f"training.strategy = {self.strategy!r} needs training.gpus = 2 or more: set it, or unset "
                "training.strategy"
            )
        if self.weights == "bfloat16" and self.shares > 1:
            raise ValueError(
                "training.weights = 'bfloat16' cannot be split over training.gpus (torchao's moments of such "
                "weights are not yet): set training.weights = null, or training.strategy = 'ddp'"
            )
        if self.batch_size % self.processes:
            raise ValueError(
                f"training.batch_size = {self.batch_size} cannot be shared by training.gpus = {self.gpus}: "
                "give a multiple of it"
            )
        return self

    @property
    def processes(self) -> int:
        """How many processes train, one for each GPU."""
        return self.gpus or 1

    @property
    def shares(self) -> int:
        """Into how many parts weights, gradients and moments are split."""
        return 1 if self.strategy == "ddp" else self.processes

    @property
    def held_in(self) -> str:
        """What trained weights are held in."""
        return self.weights or "float32"

    def keeps(self, parameters: float | None, *, served: bool = False) -> bool:
        """Whether checkpoints are adapters alone, of a model with so many weights (None: not known)."""
        if isinstance(self.keep_adapter, bool):
            return self.keep_adapter
        return self.method != "full" and (served or (parameters or 0) > LARGE)

    def settled(self, parameters: float | None, *, served: bool = False) -> TrainingSection:
        """The same training with ``keep_adapter`` decided."""
        return self.model_copy(update={"keep_adapter": self.keeps(parameters, served=served)})

    def settled_as(self, other: TrainingSection) -> TrainingSection:
        """The same training, where ``keep_adapter`` is ``auto`` with another's decision."""
        if isinstance(self.keep_adapter, bool):
            return self
        return self.model_copy(update={"keep_adapter": other.keep_adapter})
