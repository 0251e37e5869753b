"""Finds and loads a language model's weights: what the engines and the trainer share.

Knows no sampling and no training, and nothing of how a load is proven (``probe``).
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from iteralign.chat.format import PROBE, encode_training, end_tokens, prepare
from iteralign.engines.limits import adapter_base, must_be_sound, weights_named
from iteralign.errors import EngineError, IterAlignError, Unavailable
from iteralign.foreign.errors import short
from iteralign.text.printable import count_of

_SAID = 200
"""Characters of what a library says, in a message."""
ADAPTER_FILE = "adapter_config.json"
NO_GGUF = (
    "Of a GGUF only a file here can be taken: download it and name the file, or take the model that it was "
    "made from (safetensors)"
)
_PATTERNS = ["*.json", "*.jinja", "*.model", "*.txt", "*.safetensors"]


def quiet() -> None:
    """No progress bars, no advice: what matters is raised or warned of by us."""
    import logging as standard

    from huggingface_hub.utils.tqdm import disable_progress_bars
    from transformers.utils import logging

    disable_progress_bars()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    # peft imports them where they are there, needed or not
    for name in ("bitsandbytes", "torchao", "torch.utils._pytree"):
        standard.getLogger(name).setLevel(standard.ERROR)


def pick_device(asked: str) -> str:
    """cuda, mps or cpu: the one asked for if it is there, or the first that is. Raises ``Unavailable``."""
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if asked == "auto":
        return next(name for name, present in there.items() if present)
    if not there.get(asked, False):
        raise Unavailable(
            f"model.device = {asked!r} is not available here; "
            f"available: auto, {', '.join(n for n, p in there.items() if p)}"
        )
    return asked


def pick_dtype(asked: str, device: str) -> str:
    """float32 on cpu and mps, bfloat16 on cuda where it can, unless asked otherwise."""
    import torch

    if asked != "auto":
        return asked
    return "bfloat16" if device == "cuda" and torch.cuda.is_bf16_supported() else "float32"


def folder_of(place: str, warn: Callable[[str], None] = lambda text: None, *, weights: bool = True) -> Path:
    """The folder of a model: a local one, or the hub's in the local cache.

    It is downloaded if need be, and said so. Raises ``Unavailable``. Without ``weights`` it may lack them.
    The cache is asked before the network: offline, transformers itself would try again for most of a minute
    per file.
    """
    folder = Path(place)
    if folder.is_dir():
        return folder
    if folder.is_absolute() or place.startswith((".", "~")) or place.count("/") > 1:
        raise Unavailable(
            f"model {place!r} is no folder here: "
            "give a folder with a model, or a hub name such as 'owner/model'"
        )
    import huggingface_hub as hub

    cached = _cached(place)
    if cached is not None and (
        _is_whole(cached) or (not weights and (cached / "tokenizer_config.json").is_file())
    ):
        return cached
    try:
        files = [s.rfilename for s in hub.HfApi().model_info(place, timeout=20).siblings or []]
        # transformers reads pickled weights without running them
        pickled = [] if any(f.endswith(".safetensors") for f in files) else ["*.bin"]
        what = "model" if weights else "the tokenizer of"
        forms = {Path(f).suffix.lower() for f in files}
        if ".gguf" in forms and not forms & {".safetensors", ".bin"}:
            raise Unavailable(f"model {place!r} holds weights for llama.cpp alone. {NO_GGUF}")
        warn(f"{what} {place!r} is not in the cache: downloading it from the hub")
        wanted = [*_PATTERNS, *pickled] if weights else [p for p in _PATTERNS if p != "*.safetensors"]
        return Path(hub.snapshot_download(place, allow_patterns=wanted))
    except (OSError, ValueError, _http_error()) as error:
        raise Unavailable(
            f"model {place!r} is neither a folder here nor in the cache, "
            f"and the hub does not give it: {first_line(error)}. "
            "Give a folder with a model, or a hub name that this machine can reach "
            "(a gated model needs HF_TOKEN; HF_HUB_OFFLINE must not be set)"
        ) from error


def commit_of(place: str) -> str:
    """The commit of a hub's model that the local cache holds whole, without asking the network.

    Empty for a folder, and for what is not in the cache.
    """
    folder = Path(place)
    if folder.is_dir() or folder.is_absolute() or place.startswith((".", "~")) or place.count("/") > 1:
        return ""
    cached = _cached(place)
    return cached.name if cached is not None and _is_whole(cached) else ""


def cached_folder(place: str) -> Path | None:
    """The folder of a hub's model in the local cache, whole or not; None for a path. Asks no network."""
    if Path(place).is_absolute() or place.startswith((".", "~")) or place.count("/") > 1:
        return None
    return _cached(place)


def _cached(place: str) -> Path | None:
    """The snapshot of a hub's model in the local cache, whole or not."""
    import huggingface_hub as hub

    try:
        return Path(hub.snapshot_download(place, local_files_only=True))
    except (OSError, ValueError):
        return None


def load(
    place: str,
    *,
    device: str,
    precision: str,
    template: str | None,
    warn: Callable[[str], None],
    adapter: Literal["merged", "beside", "trained"] = "merged",
) -> tuple[Any, Any]:
    """Model and tokenizer of a folder or hub name, on a device.

    Where the folder holds an adapter, it is put on its base. ``merged`` adds it to the weights. ``beside``
    keeps it apart, in the same precision: a sum in bfloat16 would round small changes away. ``trained`` gives
    peft's model, ready to go on. Raises ``EngineError`` (``Unavailable`` where nothing is there) naming the
    place and the remedy.
    """
    import torch

    quiet()
    tokenizer = load_tokenizer(place, template, warn, weights=True)
    folder = folder_of(place, warn)
    adapted = (folder / ADAPTER_FILE).is_file()
    model = _adapted(folder, precision, warn, adapter) if adapted else _model(place, precision, warn)
    _fit(model, tokenizer, place)
    try:
        return model.to(device).eval(), tokenizer
    except torch.OutOfMemoryError as error:
        raise EngineError(
            f"model {place!r} does not fit into the memory of {device}: "
            "use a smaller model, or model.dtype = bfloat16"
        ) from error


def bare_tokenizer(place: str, warn: Callable[[str], None]) -> Any:
    """The tokenizer of a folder or hub name as it is there, without a chat format of ours."""
    from transformers import AutoTokenizer

    quiet()
    folder = _with_tokenizer(place, warn, weights=True)
    must_be_sound(folder)
    with readable(f"the tokenizer of {place!r} cannot be loaded"):
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)


def bare_model(place: str, device: str, precision: str, warn: Callable[[str], None]) -> Any:
    """A model that is only asked, on a device; an adapter is added to its base. Raises ``EngineError``."""
    import torch

    quiet()
    folder = folder_of(place, warn)
    adapted = (folder / ADAPTER_FILE).is_file()
    model = _adapted(folder, precision, warn, "merged") if adapted else _model(place, precision, warn)
    try:
        return model.to(device).eval()
    except torch.OutOfMemoryError as error:
        raise EngineError(
            f"model {place!r} does not fit into the memory of {device}: "
            "use a smaller model, or oracle.dtype = bfloat16"
        ) from error


def base_of(place: str) -> str | None:
    """The model that an adapter folder was trained on; None for a whole model."""
    file = folder_of(place) / ADAPTER_FILE
    if not file.is_file():
        return None
    return adapter_base(file)


def load_tokenizer(
    place: str,
    template: str | None,
    warn: Callable[[str], None] = lambda text: None,
    *,
    weights: bool = False,
) -> Any:
    """The tokenizer of a folder or hub name, prepared (``chat.format.prepare``).

    A hub's weights are left where they are, unless asked for.
    """
    from transformers import AutoTokenizer

    folder = _with_tokenizer(place, warn, weights)
    must_be_sound(folder)
    with readable(f"the tokenizer of {place!r} cannot be loaded"):
        return prepare(AutoTokenizer.from_pretrained(folder, trust_remote_code=False), template)


def _with_tokenizer(place: str, warn: Callable[[str], None], weights: bool) -> Path:
    """The folder that holds the tokenizer: the model's; its base's where an adapter brings none."""
    folder = folder_of(place, warn, weights=weights)
    if (folder / ADAPTER_FILE).is_file() and not any(folder.glob("tokenizer*")):
        return folder_of(base_of(str(folder)) or "", warn, weights=weights)
    return folder


def _model(place: str, precision: str, warn: Callable[[str], None]) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    folder = folder_of(place, warn)
    must_be_sound(folder, tokenizer=False)
    with readable(f"the weights in {str(folder)!r} cannot be loaded"):
        model, report = AutoModelForCausalLM.from_pretrained(
            folder, dtype=getattr(torch, precision), output_loading_info=True, trust_remote_code=False
        )
    lacking = sorted(report["missing_keys"])
    if lacking:
        raise EngineError(
            f"{folder}: the weights lack {', '.join(lacking[:3])} ({len(lacking)} in all): "
            "the checkpoint is incomplete"
        )
    foreign = sorted(report["unexpected_keys"])
    if foreign:
        warn(
            f"{folder}: left aside, not being the model's: {count_of(len(foreign), 'tensor')}: "
            f"{', '.join(foreign[:3])}"
        )
    # an adapter that is trained on it names it so, and not by a folder of this machine's cache
    model.name_or_path = place
    return model


def _fit(model: Any, tokenizer: Any, place: str) -> None:
    """Every token of the chat format has a row in the embedding.

    A padding token without one becomes the end of sequence: padding is masked, so that any will do. Raises
    ``EngineError``.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    used = [*encode_training(tokenizer, PROBE)[0], *end_tokens(tokenizer)]
    if max(used) >= rows:
        raise EngineError(
            f"{place}: the tokenizer's token {tokenizer.convert_ids_to_tokens(max(used))!r} has the id "
            f"{max(used)}, and the model's embedding has {rows} rows: they do not belong together, or the "
            "embedding was not resized when tokens were added"
        )
    if not 0 <= tokenizer.pad_token_id < rows:
        tokenizer.pad_token = tokenizer.eos_token


def _adapted(folder: Path, precision: str, warn: Callable[[str], None], adapter: str) -> Any:
    import torch
    from peft import PeftModel

    base = _model(base_of(str(folder)) or "", precision, warn)
    with readable(f"the adapter in {str(folder)!r} cannot be loaded"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"(peft|transformers)(\.|$)")  # of calls that are not ours
        model = PeftModel.from_pretrained(
            base, folder, is_trainable=adapter == "trained", autocast_adapter_dtype=adapter != "beside"
        )
    match adapter:
        case "merged":
            return model.merge_and_unload()
        case "beside":
            for parameter in model.parameters():  # not model.to(...): rotary frequencies stay in float32
                parameter.data = parameter.data.to(getattr(torch, precision))
            return model.get_base_model()
    return model


def _is_whole(folder: Path) -> bool:
    """Whether a cached snapshot has its configuration and all its weights.

    A download may have been broken off.
    """
    if (folder / ADAPTER_FILE).is_file():
        return any(folder.glob("adapter_model.*"))
    for index in folder.glob("*.index.json"):
        return all((folder / f).is_file() for f in weights_named(index))
    weights = any(folder.glob("*.safetensors")) or any(folder.glob("pytorch_model*.bin"))
    return (folder / "config.json").is_file() and weights


def _http_error() -> type[Exception]:
    """What the hub's client raises when nobody answers; newer versions bring another client."""
    from importlib import import_module
    from importlib.util import find_spec

    error: type[Exception] = import_module("httpx2" if find_spec("httpx2") else "httpx").HTTPError
    return error


def first_line(error: BaseException) -> str:
    """What an error of a library says, without the pages that some add to it."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return short(line, _SAID)


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Turns whatever a library raises at a folder that is not sound into ``Unavailable``: ``what`` and why.

    Libraries raise anything at all at a file that they did not expect (the tokenizers' one a bare
    ``Exception``, or the panic of its language); our own errors pass.
    """
    try:
        yield
    except (IterAlignError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except MemoryError as error:
        raise Unavailable(f"{what}: it takes more memory than there is") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException" and not isinstance(error, Exception):
            raise
        raise Unavailable(f"{what}: {first_line(error)}") from error


def sampled_hash(folder: Path, sample: int = 2**16, stride: int = 2**26) -> str:
    """A hash of a model folder: names and sizes of its files, and a sample of their bytes.

    The sample is the first 64 KiB of every 64 MiB and the last ones, so that it is fast for large models.
    """
    digest = hashlib.sha256()
    for file in sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")):
        size = file.stat().st_size
        digest.update(f"{file.name} {size}\n".encode())
        with file.open("rb") as data:
            for start in (*range(0, size, stride), max(0, size - sample)):
                data.seek(start)
                digest.update(data.read(sample))
    return digest.hexdigest()
