"""What a training leaves in its folder, and what a killed one left there to go on from.

Knows files and models, not examples.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from iteralign.engines.digests import digests
from iteralign.engines.probe import Memory, probe_total
from iteralign.engines.weights import ADAPTER_FILE
from iteralign.errors import TrainingError
from iteralign.recipe.training import TrainingSection
from iteralign.text.printable import count_of
from iteralign.training.arguments import diverged
from iteralign.training.as_it_was import AsItWas

TRAINING_LOG = "training_log.json"
TRAINING_MARK = "attempt"
"""Names the training that works in a folder, so that no other goes on from its trainer checkpoints."""
ROUNDED = 0.25
"""A share of a change: more, rounded away by what serves it, is warned of."""
_STATE = ("trainer_state.json", "scheduler.pt")
_ALONE = ("optimizer.pt",)
_SHARDED = ("optimizer_0/.metadata", "pytorch_model_fsdp_0/.metadata")
"""Of weights and moments that are split over processes; each list is written last."""
_SCRAPS = ("training_args.bin", "README.md", TRAINING_MARK)


def last_state(out: Path, attempt: str, settings: TrainingSection) -> Path | None:
    """The last whole trainer checkpoint of this very training, if a killed process left one.

    Anything else is cleared away.
    """
    out.mkdir(parents=True, exist_ok=True)
    mark = out / TRAINING_MARK
    found = sorted(
        (p for p in out.glob("checkpoint-*") if p.is_dir()),
        key=lambda p: int(p.name.rpartition("-")[2]),
        reverse=True,
    )
    ours = mark.is_file() and mark.read_text(encoding="utf-8") == attempt
    state = next((p for p in found if ours and _is_whole(p, settings)), None)
    for folder in found:
        if folder != state:
            shutil.rmtree(folder)
    mark.write_text(attempt, encoding="utf-8")
    return state


def must_be_finite(model: Any, losses: Sequence[dict[str, float]], learning_rate: float) -> None:
    """Raises ``TrainingError`` where a loss or a weight is no number."""
    import torch

    wrong = [h for h in losses if not math.isfinite(h["loss"])]
    if wrong:
        raise TrainingError(
            diverged(f"the loss at step {wrong[0]['step']:.0f} is {wrong[0]['loss']}", learning_rate)
        )
    bad = [n for n, p in model.named_parameters() if not bool(torch.isfinite(p).all())]
    if bad:
        raise TrainingError(
            diverged(
                f"values that are no numbers in {count_of(len(bad), 'tensor')} ({bad[0]})", learning_rate
            )
        )


def merged(model: Any, warn: Callable[[str], None], *, serving: str) -> Any:
    """The base of a trained adapter with the adapter added to it, layer by layer, in float32 on the CPU.

    ``serving``: the precision that the sum will be served in; where it rounds much of the change away, that
    is warned of. Raises ``TrainingError`` where a layer did not take its adapter.
    """
    import torch

    model = model.to("cpu").float().eval()
    lost = 0.0
    whole = 0.0
    narrow = getattr(torch, serving)
    for name, layer in model.named_modules():
        if not hasattr(layer, "get_delta_weight"):
            continue
        # experts are one parameter of a layer, and not its weight
        weight = layer.get_param() if hasattr(layer, "get_param") else layer.get_base_layer().weight
        before = weight.detach().clone()
        change = sum(layer.get_delta_weight(a).detach() for a in layer.active_adapters)
        layer.merge()
        # a sum in float32 rounds by half a unit of the larger one
        if not torch.allclose(weight, before + change, rtol=1e-5, atol=1e-6 * float(before.abs().max())):
            raise TrainingError(f"the adapter of {name} was not added to its weights")
        served = weight.detach().to(narrow).float() - before.to(narrow).float()
        lost += float((served - change).square().sum())
        whole += float(change.square().sum())
    share = math.sqrt(lost / whole) if whole else 0.0
    if share > ROUNDED:
        warn(
            f"what was learnt is small beside the weights: served in {serving} it is off by {share:.0%} of "
            "its size. training.keep_adapter = true serves base and adapter apart, and "
            "model.dtype = float32 rounds nothing away"
        )
    return model.unload()


def save_whole(
    model: Any, tokenizer: Any, out: Path, as_it_was: AsItWas, *, precision: str = "float32"
) -> Memory:
    """Weights in this precision, configuration, and tokenizer with its chat template.

    ``as_it_was``: what configurations the start had. Returns what was in memory, for the proof.
    """
    model = model.to("cpu").eval()
    if precision == "float32":
        model = model.float()
    as_it_was.restore(model, tokenizer)
    model.save_pretrained(out)
    (out / "generation_config.json").write_text(as_it_was.generation(tokenizer), encoding="utf-8")
    tokenizer.save_pretrained(out)
    return Memory(digests(model), probe_total(model, tokenizer), precision)


def save_adapter(model: Any, tokenizer: Any, out: Path, *, precision: str = "float32") -> Memory:
    """The adapter, its configuration, and the tokenizer with its chat template.

    The base, in ``precision``, stays where it is and as it is: a large one would not fit the host twice.
    Returns what was in memory, for the proof.
    """
    model = model.eval()
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    model.save_pretrained(out)
    config = json.loads((out / ADAPTER_FILE).read_text(encoding="utf-8"))
    # peft writes sets in an order of the moment
    ordered = {
        k: sorted(v) if isinstance(v, list) and all(isinstance(x, str) for x in v) else v
        for k, v in sorted(config.items())
    }
    (out / ADAPTER_FILE).write_text(json.dumps(ordered, indent=1), encoding="utf-8")
    tokenizer.save_pretrained(out)
    return Memory(digests(model.get_base_model()), precision=precision)


def seal(out: Path) -> None:
    """Clear away what is not the model, and let others read what is.

    transformers writes weights that only their owner can read.
    """
    for folder in [*out.glob("checkpoint-*"), out / "ranks"]:
        shutil.rmtree(folder, ignore_errors=True)
    for name in _SCRAPS:
        (out / name).unlink(missing_ok=True)
    for file in out.iterdir():
        if file.is_file():
            file.chmod(0o644)


def _is_whole(folder: Path, settings: TrainingSection) -> bool:
    """A trainer checkpoint is written file by file, its state last."""
    names = [*_STATE, *(_SHARDED if settings.shares > 1 else _ALONE)]
    count = settings.processes
    names += ["rng_state.pth"] if count == 1 else [f"rng_state_{i}.pth" for i in range(count)]
    if not all((folder / name).is_file() for name in names):
        return False
    try:
        json.loads((folder / _STATE[0]).read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True
