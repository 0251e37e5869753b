"""GGUF files, the weights of llama.cpp, as folders that transformers loads and trains.

A file is dequantised once, by transformers, into a cache folder, and its tokenizer is held against what the
file says of it: vocabulary, special tokens, chat template, end tokens, how digits are split. Knows nothing
of what loads the folder afterwards.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from iteralign.engines import gguf_header, packages
from iteralign.engines.limits import LARGEST
from iteralign.errors import EngineError, Unavailable
from iteralign.foreign.errors import Unreadable
from iteralign.foreign.json import read_object

VERSION: Final = 1
"""Of the conversion: another one is converted anew."""
TOLD: Final = "converted.json"
"""What a converted folder says of itself."""
SUFFIX: Final = ".gguf"
CACHE: Final = "ITERALIGN_CACHE"
"""The environment variable that names the folder of everything converted."""
_HEADER: Final = 1 << 25
"""Bytes within which the header of a file ends, vocabulary included."""
_WIDE: Final = 2e9
"""Parameters from which a converted model is written in bfloat16: float32 would take twice the room."""
_BUFFERS: Final = 1 << 28
"""Numbers that a model may hold beside its parameters, at least: masks and rotary tables."""
_CONTROL: Final = 3
"""The type of a token that only templates write, as GGUF has it."""
_DIGITS: Final = frozenset(
    {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"}
)
"""Pre-tokenizers that split digits from each other and then split like GPT-2's."""
_KNOWN: Final = frozenset({"default", "gpt-2", "gpt2", "olmo", "phi-2", "jais", "roberta-bpe", "mpt"})
"""Those that split like GPT-2's alone, which is transformers' own way where it knows no better."""
_ENDS: Final = ("eos_token_id", "eot_token_id", "eom_token_id")


def is_gguf(place: str) -> bool:
    """Whether a model's place is a GGUF file, a package, or a folder with a GGUF and no other weights."""
    return packages.is_package(place) or _file(place) is not None


def file_of(place: str) -> Path:
    """The GGUF file of a place. Raises ``Unavailable`` where a folder holds several, or it is no GGUF."""
    found = packages.gguf_of(place, cache()) if packages.is_package(place) else _file(place)
    if found is None:
        raise Unavailable(f"{place}: no GGUF file")
    if not isinstance(found, Path):
        names = ", ".join(sorted(p.name for p in found)[:5])
        parts = (
            " (a model in several parts: join them with llama-gguf-split --merge)" if _parts(found) else ""
        )
        raise Unavailable(f"{place}: holds {len(found)} GGUF files{parts}: name one of {names}")
    with found.open("rb") as data:
        if data.read(len(gguf_header.MAGIC)) != gguf_header.MAGIC:
            raise Unavailable(f"{found}: is no GGUF file, or an empty one: copy or download it again")
    return found


def fingerprint(place: str) -> str:
    """A hash of the file's size and a sample of its bytes, and of the conversion's version."""
    file = file_of(place)
    size = file.stat().st_size
    digest = hashlib.sha256(f"{VERSION} {size}\n".encode())
    with file.open("rb") as data:
        digest.update(data.read(_HEADER))  # whole: an edited template or end token is another model
        for start in (*range(0, size, 1 << 26), max(0, size - (1 << 16))):
            data.seek(start)
            digest.update(data.read(1 << 16))
    return digest.hexdigest()


def cache() -> Path:
    """The folder of everything converted: ``$ITERALIGN_CACHE``, or one among the user's caches."""
    own = os.environ.get(CACHE)
    shared = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "iteralign"
    return Path(own or shared).expanduser().absolute()


def folder_for(place: str) -> Path:
    """Where the converted model of a GGUF lies, or will lie, in the cache."""
    name = "".join(c if c.isalnum() or c in "._-" else "-" for c in file_of(place).stem)[:60].lstrip(".")
    return cache() / "models" / f"{name or 'model'}-{fingerprint(place)[:12]}"


def converted(place: str, warn: Callable[[str], None] = lambda text: None) -> Path:
    """The folder with the dequantised model of a GGUF, made where it is not there yet.

    ``warn`` hears what is done, and what was found to differ. Raises ``EngineError`` (``Unavailable`` where
    the file cannot be converted) naming the file and the remedy.
    """
    folder = folder_for(place)
    if is_converted(place):
        return folder
    from filelock import FileLock

    file = file_of(place)
    header = _read(file)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f".{folder.name}.lock"):  # another process may be at it
        if is_converted(place):
            return folder
        if packages.is_package(place):
            packages.must_be_intact(place, file)
        unfinished = folder.parent / f".{folder.name}"
        shutil.rmtree(unfinished, ignore_errors=True)  # of a process that was killed
        _must_have_room(file, folder)
        warn(f"converting {file.name} for transformers, once: {folder}")
        unfinished.mkdir(mode=0o700)
        try:
            for text in _convert(file, header, unfinished):
                warn(text)
            if folder.exists():  # what is there has no word of having been finished
                shutil.rmtree(folder)
            unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def is_ready(place: str) -> bool:
    """Whether the file itself is on this machine: not that of a package that is missing, or lies in parts."""
    return not packages.is_package(place) or packages.is_ready(place, cache())


def is_converted(place: str) -> bool:
    """Whether the converted model lies in the cache."""
    return (folder_for(place) / TOLD).is_file()


def must_be_whole(place: str, *, planned: bool = False) -> None:
    """Check that a GGUF can be converted, or has been. Raises ``EngineError``.

    Where it is only ``planned``, nothing is written, and a package may still be missing.
    """
    if planned and not is_ready(place):
        packages.must_be_named(place)
        return
    if not is_converted(place):
        _read(file_of(place))


def brings_template(place: str) -> bool | None:
    """Whether the file brings a chat template; None where that is not known before parts are joined."""
    if not is_ready(place):
        return None
    if is_converted(place):
        told = read_object(folder_for(place) / TOLD, LARGEST)
        return bool(told.get("chat template"))
    return bool(_read(file_of(place)).values.get("tokenizer.chat_template"))


def _file(place: str) -> Path | list[Path] | None:
    """The file; several where a folder holds several; None where it is none."""
    path = Path(place).expanduser()
    if path.suffix.lower() == SUFFIX and path.is_file():
        return path
    if not path.is_dir() or (path / "config.json").exists():
        return None
    found = [p for p in sorted(path.iterdir()) if p.suffix.lower() == SUFFIX and p.is_file()]
    return found[0] if len(found) == 1 else found or None


def _parts(files: list[Path]) -> bool:
    return all("-of-" in p.stem for p in files)


def _read(file: Path) -> gguf_header.Header:
    if find_spec("gguf") is None:
        raise EngineError(
            f"{file}: reading GGUF needs gguf, which is not installed: pip install 'iteralign[gguf]'"
        )
    from gguf.constants import GGML_QUANT_SIZES

    kinds = {int(kind): (kind.name, *sizes) for kind, sizes in GGML_QUANT_SIZES.items()}
    try:
        return gguf_header.read(file, kinds)
    except (Unreadable, OSError) as error:
        raise Unavailable(
            f"{file} cannot be read as GGUF: {error}: copy or download it again, or take another file"
        ) from error


def _must_have_room(file: Path, folder: Path) -> None:
    there = next(p for p in folder.parents if p.is_dir())
    needed = 6 * file.stat().st_size  # four bits become sixteen or thirty-two
    free = shutil.disk_usage(there).free
    if free < needed:
        raise Unavailable(
            f"{file}: converted it takes up to {needed / 1e9:.1f} GB, and {there} has {free / 1e9:.1f} GB "
            f"free: make room, or name another folder in ${CACHE}"
        )


def _convert(file: Path, header: gguf_header.Header, out: Path) -> list[str]:
    """Write the folder; returns what a user should know."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    from iteralign.engines.weights import quiet, readable

    quiet()
    precision = "bfloat16" if header.parameters > _WIDE else "float32"
    why = f"{file} cannot be converted (transformers tells which architectures it knows)"
    with readable(why), redirect_stderr(io.StringIO()):  # of a progress bar that no setting stops
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
        config = AutoConfig.from_pretrained(file.parent, gguf_file=file.name)
        _must_fit(file, config, header.parameters)
        model, report = AutoModelForCausalLM.from_pretrained(
            file.parent,
            config=config,
            gguf_file=file.name,
            dtype=getattr(torch, precision),
            output_loading_info=True,
            trust_remote_code=False,
        )
    if lacking := sorted(report["missing_keys"]):
        raise Unavailable(
            f"{file}: the weights lack {', '.join(lacking[:3])} ({len(lacking)} in all): the file "
            "is incomplete, or transformers reads its architecture otherwise"
        )
    said, told = _hold_to(file, tokenizer, model, header.values)
    # these say that the weights are quantised, which they are no more
    model.hf_quantizer = None
    for name in ("quantization_config", "_pre_quantization_dtype"):
        if hasattr(model.config, name):
            delattr(model.config, name)
    with readable(f"{file}: what was converted cannot be written to {out}"):
        model.save_pretrained(out)
        tokenizer.save_pretrained(out)
    told |= {"source": file.name, "version": VERSION}
    told |= {"quantised as": list(header.kinds), "written in": precision}
    (out / TOLD).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return said


def _must_fit(file: Path, config: Any, parameters: int) -> None:
    """A model of this configuration holds what the file does, and no buffers beyond that."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    wanted = sum(p.numel() for p in model.parameters())
    beside = sum(b.numel() for b in model.buffers())
    if wanted > 2 * parameters or beside > max(parameters, _BUFFERS):
        raise Unavailable(
            f"{file}: its numbers ask for {wanted:.3g} parameters (and {beside:.3g} numbers beside them), "
            f"and it holds {parameters:.3g}: download it again, or take another file"
        )


def _hold_to(
    file: Path, tokenizer: Any, model: Any, said: Mapping[str, Any]
) -> tuple[list[str], dict[str, Any]]:
    """Make tokenizer and end tokens what the file says; returns what is to be told, and to be kept.

    Raises ``EngineError`` where vocabulary and weights do not belong together.
    """
    tokens: list[str] = said.get("tokenizer.ggml.tokens") or []
    rows = model.get_input_embeddings().weight.shape[0]
    if not tokens or len(tokens) > rows or len(tokenizer) > rows:
        raise EngineError(
            f"{file}: {len(tokens)} tokens in the file, {len(tokenizer)} in the tokenizer made of it, and "
            f"{rows} rows in the embedding: they do not belong together"
        )
    warnings: list[str] = []
    way = str(said.get("tokenizer.ggml.pre") or "default")
    split = _split_digits(tokenizer, way, str(said.get("tokenizer.ggml.model")), warnings)
    kinds = said.get("tokenizer.ggml.token_type") or []
    marked = [t for t, kind in zip(tokens, kinds, strict=False) if kind == _CONTROL]
    lost = [t for t in marked if t not in tokenizer.all_special_tokens]
    if lost:
        tokenizer.add_special_tokens({"additional_special_tokens": lost}, replace_extra_special_tokens=False)
    ends = _ends(tokenizer, model, said, len(tokens))
    template = said.get("tokenizer.chat_template")
    if template and tokenizer.chat_template != template:
        tokenizer.chat_template = template
    other = sum(
        a != b and " " not in a
        for a, b in zip(tokens, tokenizer.convert_ids_to_tokens(range(len(tokens))), strict=True)
    )
    if other > len(tokens) / 100:
        warnings.append(
            f"{file.name}: {other} of {len(tokens)} tokens are spelt otherwise by the tokenizer that "
            "transformers makes of the file: take the model that it was made from, if you can"
        )
    told = {
        "tokens": len(tokens),
        "spelt otherwise": other,
        "special tokens": len(marked),
        "end tokens": ends,
        "chat template": bool(template),
        "digits split apart": split,
    }
    return warnings, told


def _split_digits(tokenizer: Any, kind: str, model: str, warnings: list[str]) -> bool:
    """Put the digits' pre-tokenizer back where the file asks for it and the conversion lost it."""
    from tokenizers import pre_tokenizers

    backend = tokenizer.backend_tokenizer
    if model != "gpt2" or backend.pre_tokenizer is None:
        return False  # SentencePiece has none
    here = str(backend.pre_tokenizer)
    if kind in _DIGITS:
        if "Digits" not in here:
            backend.pre_tokenizer = pre_tokenizers.Sequence(
                [
                    pre_tokenizers.Digits(individual_digits=True),
                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
                ]
            )
        return True
    if "Split" not in here and kind not in _KNOWN:
        warnings.append(
            f"the tokenizer's way of splitting text, {kind[:40]!r}, is not known to transformers: GPT-2's is "
            "taken, and rare texts may be cut otherwise than in training"
        )
    return False


def _ends(tokenizer: Any, model: Any, said: Mapping[str, Any], tokens: int) -> list[str]:
    """The tokens that end an answer, put into the generation settings; numbers that are no token's do not."""

    def named(key: str) -> list[int]:
        found = said.get(f"tokenizer.ggml.{key}")
        return [found] if isinstance(found, int) and 0 <= found < tokens else []

    ids = list(dict.fromkeys(i for key in _ENDS for i in named(key)))
    if ids:
        model.generation_config.eos_token_id = ids if len(ids) > 1 else ids[0]
        tokenizer.eos_token = tokenizer.convert_ids_to_tokens(ids[0])
    for padding in named("padding_token_id"):
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(padding)
    found: list[str] = tokenizer.convert_ids_to_tokens(ids)
    return found
