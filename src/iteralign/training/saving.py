"""What a training leaves in its folder, and what a killed one left there to go on from.

Knows files and models, not examples.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from iteralign.chat.format import end_tokens
from iteralign.engines.probe import write_probe
from iteralign.engines.weights import ADAPTER_FILE
from iteralign.errors import TrainingError
from iteralign.training.arguments import diverged

TRAINING_LOG = "training_log.json"
TRAINING_MARK = "attempt"
"""Names the training that works in a folder, so that no other goes on from its trainer checkpoints."""
_STATE = ("trainer_state.json", "optimizer.pt", "scheduler.pt", "rng_state.pth")
_SCRAPS = ("training_args.bin", "README.md", TRAINING_MARK)


def last_state(out: Path, attempt: str) -> Path | None:
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
    state = next((p for p in found if ours and _is_whole(p)), None)
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
            diverged(f"{len(bad)} tensors hold values that are no numbers ({bad[0]})", learning_rate)
        )


def save_whole(model: Any, tokenizer: Any, out: Path) -> None:
    """Weights in float32, configuration, tokenizer with its chat template, and the probe."""
    from transformers import GenerationConfig

    model = model.float().eval()
    model.config.use_cache = True  # training switches it off
    # the start's own may hold sampling settings that transformers refuses to write
    model.generation_config = GenerationConfig(
        eos_token_id=sorted(end_tokens(tokenizer)),
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
    )
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    write_probe(model, tokenizer, out)


def save_adapter(model: Any, tokenizer: Any, out: Path) -> None:
    """The adapter, its configuration, the tokenizer with its chat template, and the probe.

    The probe is by the merged weights.     On a base that was narrowed to bfloat16 for the training it is by
    bfloat16 alone: the wider base is not at hand.
    """
    import torch

    narrow = any(p.dtype == torch.bfloat16 for p in model.parameters())
    model = model.to("cpu").float().eval()
    model.save_pretrained(out)
    config = json.loads((out / ADAPTER_FILE).read_text(encoding="utf-8"))
    # peft writes sets in an order of the moment
    ordered = {
        k: sorted(v) if isinstance(v, list) and all(isinstance(x, str) for x in v) else v
        for k, v in sorted(config.items())
    }
    (out / ADAPTER_FILE).write_text(json.dumps(ordered, indent=1), encoding="utf-8")
    tokenizer.save_pretrained(out)
    write_probe(model.merge_and_unload(), tokenizer, out, ["bfloat16"] if narrow else ["float32", "bfloat16"])


def seal(out: Path) -> None:
    """Clear away what is not the model, and let others read what is.

    transformers writes weights that only their owner can read.
    """
    for folder in out.glob("checkpoint-*"):
        shutil.rmtree(folder)
    for name in _SCRAPS:
        (out / name).unlink(missing_ok=True)
    for file in out.iterdir():
        if file.is_file():
            file.chmod(0o644)


def _is_whole(folder: Path) -> bool:
    """A trainer checkpoint is written file by file, its state last."""
    if not all((folder / name).is_file() for name in _STATE):
        return False
    try:
        json.loads((folder / _STATE[0]).read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True
