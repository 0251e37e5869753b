"""The proof that loaded weights are the trained ones: tensors' checksums, and a fixed text's probability.

The checksums are exact on any device and catch a half-load, a swap and an adapter left off. The
log-probability catches what they cannot see (a configuration, a tokenizer), loosely: it rounds with the
device, the precision and the kernels. Knows nothing of where weights come from, sampling or training.
"""

from __future__ import annotations

import gc
import json
import math
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from iteralign.chat.format import PROBE, encode_training
from iteralign.engines.digests import Digests, apart, digests, unlike
from iteralign.engines.weights import first_line, folder_of, load
from iteralign.errors import EngineError

PROBE_FILE = "probe.json"
_DAMAGED = (ValueError, KeyError, TypeError, AttributeError, StopIteration)
TOLERANCE = {"float32": 1e-3, "bfloat16": 0.2, "float16": 0.2}
"""Nats, for the sum over the probe's answer (a dozen tokens): where nothing but it tells weights apart."""
_ROUNDING = 3.0
"""Another device or other kernels round by so many times what bfloat16 and float32 differ by on the CPU."""
_SAME = 0.01
"""Nats: the same float32 weights on the same CPU, before and after they were saved."""


@dataclass(frozen=True)
class Memory:
    """What the trained weights hold in memory, for the proof of what was saved.

    ``total``: their log-probability of the probe, nats, on the CPU; None where they are not there.
    ``precision``: what whole weights, or an adapter's base, are held in; they are not widened for the proof.
    """

    tensors: Digests
    total: float | None = None
    precision: str = "float32"


@dataclass(frozen=True)
class Written:
    """A probe file. ``tensors`` is empty in files of older versions.

    ``made_by``: the version of transformers, which may name tensors anew.
    """

    totals: dict[str, float]
    tensors: Digests
    made_by: str


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
    out: Path,
    trained: Memory | None = None,
    *,
    template: str | None = None,
    warn: Callable[[str], None] = lambda text: None,
) -> None:
    """Load what was saved as an engine will, in float32 and in bfloat16, and write what it holds beside it.

    What was held in bfloat16 is loaded so alone: in float32 a large base would take twice the memory.

    ``trained``: what was in memory before. Raises ``EngineError`` where what was saved is something else.
    """
    narrow = trained is not None and trained.precision != "float32"
    own = trained.precision if trained is not None else "float32"
    totals: dict[str, float] = {}
    tensors: Digests = {}
    for precision in [own] if narrow else ["float32", "bfloat16"]:
        model, tokenizer = load(
            str(out), device="cpu", precision=precision, template=template, warn=warn, adapter="beside"
        )
        tensors = tensors or digests(model)  # of float32, which knows the narrower ones
        totals[precision] = probe_total(model, tokenizer)
        if narrow:
            with computing_widely(model):
                totals["float32"] = probe_total(model, tokenizer)
        del model  # one at a time: they may be large
        gc.collect()
    if trained is not None:
        lost = apart(trained.tensors, tensors)
        if lost:
            raise EngineError(
                f"{out}: what was saved is not what was trained: {_some(lost)} of {len(tensors)} tensors "
                "differ after a load. Resume: it is trained again"
            )
        if trained.total is not None and not abs(totals[own] - trained.total) <= _SAME:
            raise EngineError(
                f"{out}: what was saved answers otherwise than what was trained: the probe gets "
                f"{totals[own]:.4f} nats, and got {trained.total:.4f} before: "
                "its configuration was not saved whole"
            )
    text = {
        "question": PROBE[0].text,
        "answer": PROBE[1].text,
        "logprob": totals,
        "transformers": version("transformers"),
        "tensors": tensors,
    }
    (out / PROBE_FILE).write_text(json.dumps(text, indent=1), encoding="utf-8")


@contextmanager
def computing_widely(model: Any) -> Iterator[None]:
    """A narrow model computes in float32: each layer is widened while it computes, and none else."""
    kept: dict[Any, list[tuple[Any, Any]]] = {}

    def widen(unit: Any, arguments: Any) -> None:
        kept[unit] = [(p, p.data) for p in unit.parameters()]
        for parameter, data in kept[unit]:
            parameter.data = data.float()

    def restore(unit: Any, arguments: Any, output: Any) -> None:
        for parameter, data in kept.pop(unit):
            parameter.data = data

    units = _units(model)
    hooks = [u.register_forward_pre_hook(widen) for u in units]
    hooks += [u.register_forward_hook(restore) for u in units]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _units(module: Any) -> list[Any]:
    """The layers of a model, and what holds weights outside of them."""
    from torch.nn import ModuleList

    found = []
    for child in module.children():
        if isinstance(module, ModuleList) or next(child.parameters(recurse=False), None) is not None:
            found.append(child)
        else:
            found += _units(child)
    return found


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


def prove(
    model: Any, tokenizer: Any, place: str, precision: str, elsewhere: dict[str, float] | None = None
) -> None:
    """The loaded weights are the trained ones, bit for bit, and answer about as they did.

    ``elsewhere``: what they gave on another machine, for weights that no trainer wrote (precision -> nats).
    Raises ``EngineError``.
    """
    total = probe_total(model, tokenizer)
    if not math.isfinite(total):
        raise EngineError(
            f"{place}: a fixed text gets the log-probability {total}: "
            f"the weights are damaged, or too large for {precision} (model.dtype)"
        )
    written = read_probe(folder_of(place))
    if written is None:
        if elsewhere:
            told = elsewhere.get(precision, next(iter(elsewhere.values())))
            if not abs(total - told) <= _off(told):
                raise EngineError(
                    f"{place}: the weights on {socket.gethostname()} give the probe {total:.4f} nats, those "
                    f"where the run was started {told:.4f}: they are others, or damaged. Give all machines "
                    "the same folder, or the same commit in the hub's cache"
                )
        return
    wrong = unlike(model, written.tensors) if _comparable(model, written) else []
    if wrong:
        raise EngineError(
            f"{place}: {_some(wrong)} of {len(written.tensors)} tensors are not as the trainer saved them: "
            "half-loaded or replaced. Delete the folder and resume: it is trained again"
        )
    by = precision if precision in written.totals else next(iter(written.totals))
    expected = written.totals[by]
    if not abs(total - expected) <= _off(expected):
        raise EngineError(
            f"{place}: the loaded weights give the probe {total:.4f} nats, "
            f"the trainer's gave {expected:.4f}: half-loaded or replaced. "
            "Delete the folder and resume: it is trained again"
        )


def _off(expected: float) -> float:
    """Nats that equal bits may be apart: rounding; what is not a tensor moves the probe by nats."""
    return 1.0 + 0.05 * abs(expected)


def tolerance(totals: dict[str, float], precision: str) -> float:
    """Nats that a server may be from a written probe: more for a model that rounds more."""
    rounding = max(totals.values()) - min(totals.values()) if precision != "float32" else 0.0
    return max(TOLERANCE.get(precision, 0.2), _ROUNDING * rounding)


def written_probe(folder: Path) -> dict[str, float] | None:
    """The log-probabilities that the trainer wrote: precision -> nats.

    None where there is none of this version. Raises ``EngineError``.
    """
    written = read_probe(folder)
    return None if written is None else written.totals


def read_probe(folder: Path) -> Written | None:
    """What the trainer wrote; None where there is none of this version. Raises ``EngineError``."""
    file = folder / PROBE_FILE
    if not file.is_file():
        return None
    try:
        written = json.loads(file.read_text(encoding="utf-8"))
        if [written["question"], written["answer"]] != [m.text for m in PROBE]:
            return None  # another version's probe
        totals = {str(k): float(v) for k, v in written["logprob"].items()}
        next(iter(totals))
        tensors = {
            str(n): {str(k): str(v) for k, v in d.items()} for n, d in written.get("tensors", {}).items()
        }
        return Written(totals, tensors, str(written.get("transformers", "")))
    except (ArithmeticError, RecursionError, *_DAMAGED) as error:
        raise EngineError(
            f"{file} is damaged ({first_line(error)}): "
            "delete the checkpoint's folder and resume: it is trained again"
        ) from error


def _comparable(model: Any, written: Written) -> bool:
    """Whether checksums were written, of tensors with these names: transformers may name them anew."""
    if not written.tensors:
        return False
    return written.made_by == version("transformers") or set(model.state_dict()) <= set(written.tensors)


def _some(names: Sequence[str]) -> str:
    return f"{len(names)} ({names[0]}{', ...' if len(names) > 1 else ''})"
