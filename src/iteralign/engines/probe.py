"""The probe that proves a load: a fixed text gets what the trainer wrote beside the weights.

That is its log-probability. A silent half-load, or another model behind the same name, gives another one.
Knows nothing of where weights come from, sampling or training.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from iteralign.chat.format import PROBE, encode_training
from iteralign.engines.weights import first_line, folder_of, load
from iteralign.errors import EngineError

PROBE_FILE = "probe.json"
TOLERANCE = {"float32": 1e-3, "bfloat16": 0.2, "float16": 0.2}
"""Nats, for the sum over the probe's answer (a dozen tokens)."""


def probe_total(model: Any, tokenizer: Any) -> float:
    """Summed log-probability, nats, of the probe's answer and its end."""
    import torch

    ids, learnt = encode_training(tokenizer, PROBE)
    start = learnt.index(True)
    tokens = torch.tensor([ids], device=model.device)
    with torch.inference_mode():
        logits = model(input_ids=tokens).logits[0, start - 1 : -1].float()  # (answer, vocabulary)
    return float(torch.log_softmax(logits, -1).gather(-1, tokens[0, start:, None]).sum().item())


def write_probe(
    model: Any, tokenizer: Any, out: Path, precisions: Sequence[str] = ("float32", "bfloat16")
) -> None:
    """Write the probe by the weights in memory, in these precisions in turn.

    The model is left in the last: call it at the end.
    """
    import torch

    totals = {}
    for precision in precisions:
        totals[precision] = probe_total(model.to(getattr(torch, precision)), tokenizer)
    (out / PROBE_FILE).write_text(
        json.dumps({"question": PROBE[0].text, "answer": PROBE[1].text, "logprob": totals}, indent=1),
        encoding="utf-8",
    )


def local_probe(
    place: str, precision: str, template: str | None, warn: Callable[[str], None]
) -> dict[str, float]:
    """The probe by the weights of a folder or hub name: precision -> nats.

    What the trainer wrote beside them, where it did; else they are loaded on the CPU for it.
    """
    import torch

    written = written_probe(folder_of(place, warn))
    if written is not None:
        return written
    model, tokenizer = load(place, device="cpu", precision=precision, template=template, warn=warn)
    with torch.inference_mode():
        return {precision: probe_total(model, tokenizer)}


def prove(model: Any, tokenizer: Any, place: str, precision: str) -> None:
    """The loaded weights answer, and as the trainer's did: catches half-loaded and swapped weights.

    Raises ``EngineError``.
    """
    total = probe_total(model, tokenizer)
    if not math.isfinite(total):
        raise EngineError(
            f"{place}: a fixed text gets the log-probability {total}: "
            f"the weights are damaged, or too large for {precision} (model.dtype)"
        )
    written = written_probe(folder_of(place))
    if written is None:
        return
    by = precision if precision in written else next(iter(written))
    expected = written[by]
    if abs(total - expected) > max(TOLERANCE[precision], TOLERANCE.get(by, 0.0)):
        raise EngineError(
            f"{place}: the loaded weights give the probe {total:.4f} nats, "
            f"the trainer's gave {expected:.4f}: half-loaded or replaced. "
            "Delete the folder and resume: it is trained again"
        )


def written_probe(folder: Path) -> dict[str, float] | None:
    """What the trainer wrote: precision -> the probe's log-probability, nats.

    None where there is none of this version. Raises ``EngineError``.
    """
    file = folder / PROBE_FILE
    if not file.is_file():
        return None
    try:
        written = json.loads(file.read_text(encoding="utf-8"))
        if [written["question"], written["answer"]] != [m.text for m in PROBE]:
            return None  # another version's probe
        found = {str(k): float(v) for k, v in written["logprob"].items()}
        next(iter(found))
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
        raise EngineError(
            f"{file} is damaged ({first_line(error)}): "
            "delete the checkpoint's folder and resume: it is trained again"
        ) from error
    return found
