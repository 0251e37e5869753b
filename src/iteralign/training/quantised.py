"""QLoRA's base: weights in 4 bits while an adapter is trained on them, and the adapter on the whole weights.

The 4 bits are NF4, doubly quantised. Knows nothing of examples. bitsandbytes does the work; it runs on
NVIDIA GPUs, and slowly on CPUs.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from iteralign.engines.weights import base_of, folder_of, load, load_tokenizer, readable
from iteralign.errors import TrainingError

_SCRATCH = "adapter-of-4-bits"


def load_in_4_bits(
    place: str,
    *,
    device: str,
    precision: str,
    template: str | None,
    warn: Callable[[str], None],
    goes_on: bool = False,
    split: bool = False,
) -> tuple[Any, Any]:
    """Model and tokenizer, the linear layers in NF4.

    ``split``: the weights will be split over processes, so that the 4 bits are stored in numbers of the other
    weights' kind, as FSDP asks for; ``device`` is then this process's own.
    ``goes_on``: the start is an adapter, which is put on its base in 4 bits, ready to go on. Raises
    ``TrainingError`` where bitsandbytes is missing or the start is an adapter that does not go on.
    """
    import torch
    from transformers import AutoModelForCausalLM

    try:
        import_module("bitsandbytes")
    except ImportError as error:
        raise TrainingError(
            "training.method = qlora needs bitsandbytes: pip install 'iteralign[qlora]', "
            "or use training.method = lora"
        ) from error
    base = base_of(place)
    if base is not None and not goes_on:
        raise TrainingError(
            f"training.method = qlora starts from a whole model, but {place} is an adapter: "
            "use training.keep_adapter = true to go on with it, or training.method = lora"
        )
    whole = place if base is None else base
    settings = quantisation(precision, split=split)
    tokenizer = load_tokenizer(place, template, warn, weights=True)
    model = AutoModelForCausalLM.from_pretrained(
        folder_of(whole, warn),
        quantization_config=settings,
        device_map={"": device},
        dtype=getattr(torch, precision),
        trust_remote_code=False,
    )
    model.name_or_path = whole
    return (model if base is None else _adapted(model, folder_of(place, warn))), tokenizer


def quantisation(precision: str, *, split: bool) -> Any:
    """A ``BitsAndBytesConfig``: NF4, doubly quantised, computing in this precision."""
    import torch
    from transformers import BitsAndBytesConfig

    storage = {"bnb_4bit_quant_storage": getattr(torch, precision)} if split else {}
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, precision),
        **storage,
    )


def _adapted(model: Any, folder: Path) -> Any:
    """The adapter of a folder on its base, ready to go on."""
    from peft import PeftModel

    with readable(f"the adapter in {str(folder)!r} cannot be loaded"):
        return PeftModel.from_pretrained(model, folder, is_trainable=True)


def on_whole_weights(
    trained: Any, place: str, out: Path, *, precision: str, template: str | None, warn: Callable[[str], None]
) -> Any:
    """The trained adapter on its base in this precision: what is saved, probed and served."""
    from peft import PeftModel

    scratch = out / _SCRATCH
    trained.save_pretrained(scratch)
    model, _ = load(place, device="cpu", precision=precision, template=template, warn=warn)
    found = PeftModel.from_pretrained(model, scratch)
    shutil.rmtree(scratch)
    return found
