"""The optimiser that a recipe asks for. Knows no models and no examples.

torchao's AdamW holds its moments in 8 bits, block by block, computes in float32, and rounds weights that are
held in bfloat16 stochastically: on average no update is lost, however small.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from iteralign.errors import TrainingError
from iteralign.recipe.training import TrainingSection


def optimizer(settings: TrainingSection) -> tuple[type[Any], dict[str, Any]] | None:
    """Class and arguments for a trainer; None for the trainer's own AdamW.

    Raises ``TrainingError`` where torchao is missing.
    """
    if settings.optimizer != "adamw-8bit":
        return None
    try:
        from torchao.optim import AdamW8bit
    except ImportError as error:
        raise TrainingError(
            "training.optimizer = adamw-8bit needs torchao: pip install 'iteralign[lowbit]', "
            "or use training.optimizer = adamw"
        ) from error
    # the trainer's AdamW has these by default, too
    usual = {"betas": (0.9, 0.999), "eps": 1e-8}
    return AdamW8bit, {"lr": settings.learning_rate, "bf16_stochastic_round": True} | usual


def step_by_step(settings: TrainingSection, device: str) -> AbstractContextManager[Any]:
    """On a CPU the optimiser's step runs as it is written: compiling it takes a minute and a C++ compiler."""
    import torch

    if settings.optimizer != "adamw-8bit" or device != "cpu":
        return nullcontext()
    stance: AbstractContextManager[Any] = torch.compiler.set_stance("force_eager")
    return stance


def rounded_alike(seed: int) -> Any:
    """A callback of a trainer: weights are rounded by the same random numbers in every process.

    Processes that each hold all weights (DDP) must change them alike, and their generators are where their
    examples took them. Each step's numbers follow from seed and step, and each generator goes on as if it had
    not been asked.
    """
    import torch
    from transformers import TrainerCallback

    class RoundedAlike(TrainerCallback):  # type: ignore[misc]
        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self._before = torch.get_rng_state(), _of_the_gpu()
            torch.manual_seed(seed + state.global_step)

        def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            host, gpu = self._before
            torch.set_rng_state(host)
            if gpu is not None:
                torch.cuda.set_rng_state(gpu)

    def _of_the_gpu() -> Any:
        return torch.cuda.get_rng_state() if torch.cuda.is_available() else None

    return RoundedAlike()
