"""Reads the header of a GGUF file, which may come from anybody, before a library is given the file.

Every count is held against the size of the file and against what models have: the library itself trusts them,
and a header of a hundred bytes can make it count to 2**64. Loads no tensor; knows no model.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from iteralign.foreign.errors import Unreadable

MAGIC: Final = b"GGUF"
_VERSIONS: Final = (2, 3)
_SCALARS: Final = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""The types of single values, as the format numbers them, in the letters of ``struct``."""
_TEXT: Final = 8
_LIST: Final = 9
_MOST_KEYS: Final = 10_000
_MOST_TENSORS: Final = 100_000
_LONGEST_NAME: Final = 1 << 16
_LONGEST_TEXT: Final = 1 << 20
_KEPT: Final = frozenset({"tokenizer.ggml.tokens", "tokenizer.ggml.token_type"})
"""Lists that are kept; of others only the length is."""
_MOST_LAYERS: Final = 2000
_MOST_ELEMENTS: Final = 4_000_000
"""Of a list that is read: the largest vocabularies have a quarter of a million tokens."""
_EMBEDDING: Final = "token_embd.weight"


@dataclass(frozen=True)
class Tensor:
    """A tensor as the header describes it: shape innermost first, the format's number of its type."""

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        found = 1
        for n in self.shape:
            found *= n
        return found


@dataclass(frozen=True)
class Header:
    """What a file says of itself."""

    values: Mapping[str, Any]
    """Texts and numbers by key, and the lists that are kept."""
    lengths: Mapping[str, int]
    """Of every list, how many elements it has."""
    tensors: tuple[Tensor, ...]
    kinds: tuple[str, ...]
    """The names of the tensors' types."""

    @property
    def parameters(self) -> int:
        """The numbers in all tensors."""
        return sum(t.elements for t in self.tensors)


def read(file: Path, kinds: Mapping[int, tuple[str, int, int]]) -> Header:
    """Read and check a header. Raises ``Unreadable``.

    ``kinds``: of each type of tensor its name, the elements of a block, and the bytes of a block.
    """
    size = file.stat().st_size
    with file.open("rb") as opened:
        if opened.read(len(MAGIC)) != MAGIC:
            raise Unreadable("it does not begin with GGUF")
        with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _read(_Bytes(data, size), kinds)


class _Bytes:
    """The bytes of a file, one after another; to go beyond the end is an error."""

    def __init__(self, data: mmap.mmap, size: int) -> None:
        self._data = data
        self.size = size
        self.at = len(MAGIC)

    def skip(self, count: int) -> int:
        start = self.at
        if count > self.size - start:
            raise Unreadable(f"cut short, or a count in it is wrong (at byte {start:,} of {self.size:,})")
        self.at = start + count
        return start

    def number(self, letter: str) -> Any:
        form = f"<{letter}"
        return struct.unpack_from(form, self._data, self.skip(struct.calcsize(form)))[0]

    def text(self, longest: int) -> str:
        length = self.number("Q")
        start = self.skip(length)
        if length > longest:
            raise Unreadable(f"a text of {length:,} bytes (at byte {start:,}); the most is {longest:,}")
        try:
            return self._data[start : self.at].decode()
        except UnicodeDecodeError:
            raise Unreadable(f"a text that is not UTF-8 (at byte {start:,})") from None


def _read(data: _Bytes, kinds: Mapping[int, tuple[str, int, int]]) -> Header:
    version = data.number("I")
    if version not in _VERSIONS:
        big = " (made for big-endian machines)" if version & 0xFFFF == 0 else ""
        raise Unreadable(f"version {version}{big}; known: {', '.join(map(str, _VERSIONS))}")
    tensor_count = data.number("Q")
    key_count = data.number("Q")
    if key_count > _MOST_KEYS or tensor_count > _MOST_TENSORS:
        raise Unreadable(f"{key_count:.6g} keys and {tensor_count:.6g} tensors are more than a model has")
    values: dict[str, Any] = {}
    lengths: dict[str, int] = {}
    for _ in range(key_count):
        key = data.text(_LONGEST_NAME)
        if key in values or key in lengths:
            raise Unreadable(f"the key {key[:60]!a} comes twice")
        kind = data.number("I")
        if kind != _LIST:
            values[key] = _value(data, key, kind)
            continue
        kept = _list(data, key, lengths)
        if kept is not None:
            values[key] = kept
    tensors = tuple(_tensor(data) for _ in range(tensor_count))
    _must_lie_in_file(data, tensors, values.get("general.alignment", 32), kinds)
    _must_be_a_model(values, lengths, tensors)
    return Header(values, lengths, tensors, tuple(sorted({kinds[t.kind][0] for t in tensors})))


def _value(data: _Bytes, key: str, kind: int) -> Any:
    if kind == _TEXT:
        return data.text(_LONGEST_TEXT)
    if kind not in _SCALARS:
        raise Unreadable(f"{key[:60]!a} has a value of type {kind}, which there is not")
    return data.number(_SCALARS[kind])


def _list(data: _Bytes, key: str, lengths: dict[str, int]) -> list[Any] | None:
    kind = data.number("I")
    count = data.number("Q")
    lengths[key] = count
    if key in _KEPT and count > _MOST_ELEMENTS:  # before a loop is begun
        raise Unreadable(f"{key[:60]!a} would have {count:.6g} elements; the most is {_MOST_ELEMENTS:,}")
    if kind in _SCALARS:
        form = f"<{_SCALARS[kind]}"
        start = data.skip(struct.calcsize(form) * count)
        if key not in _KEPT:
            return None
        data.at = start
        return [data.number(_SCALARS[kind]) for _ in range(count)]
    if kind != _TEXT:
        raise Unreadable(f"{key[:60]!a} is a list of type {kind}, which no model has")
    if count > min(data.size // 8, _MOST_ELEMENTS):
        raise Unreadable(f"{key[:60]!a} would have {count:.6g} elements, too many")
    if key in _KEPT:
        return [data.text(_LONGEST_NAME) for _ in range(count)]
    for _ in range(count):
        data.skip(data.number("Q"))
    return None


def _tensor(data: _Bytes) -> Tensor:
    name = data.text(_LONGEST_NAME)
    rank = data.number("I")
    if not 1 <= rank <= 4:
        raise Unreadable(f"the tensor {name[:60]!a} has {rank} dimensions")
    shape = tuple(data.number("Q") for _ in range(rank))
    return Tensor(name, shape, data.number("I"), data.number("Q"))


def _must_lie_in_file(
    data: _Bytes, tensors: tuple[Tensor, ...], alignment: object, kinds: Mapping[int, tuple[str, int, int]]
) -> None:
    """Every tensor has its own bytes in the file."""
    if not isinstance(alignment, int) or not 1 <= alignment <= 1 << 20 or alignment & (alignment - 1):
        raise Unreadable(f"general.alignment = {alignment!a:.40}: not a power of two")
    begin = -(-data.at // alignment) * alignment
    end = 0
    seen: set[str] = set()
    for tensor in sorted(tensors, key=lambda t: t.offset):
        if tensor.name in seen:
            raise Unreadable(f"the tensor {tensor.name[:60]!a} comes twice")
        seen.add(tensor.name)
        if tensor.kind not in kinds:
            raise Unreadable(
                f"the tensor {tensor.name[:60]!a} has the type {tensor.kind}, which is not known"
            )
        _, block, width = kinds[tensor.kind]
        if tensor.elements == 0 or tensor.shape[0] % block:
            raise Unreadable(f"the tensor {tensor.name[:60]!a} has a shape that its type cannot have")
        if tensor.offset < end:
            raise Unreadable(f"the tensor {tensor.name[:60]!a} lies where another one does")
        end = tensor.offset + tensor.elements // block * width
    if begin + end > data.size:
        raise Unreadable(f"cut short, or a shape in it is wrong ({data.size:,} of {begin + end:,} bytes)")


def _must_be_a_model(
    values: Mapping[str, Any], lengths: Mapping[str, int], tensors: tuple[Tensor, ...]
) -> None:
    """A language model, with no more layers and tokens than its tensors are for."""
    if isinstance(parts := values.get("split.count"), int) and parts > 1:
        raise Unreadable(f"one of {parts} parts: join them with llama-gguf-split --merge")
    rows = next((t.shape[-1] for t in tensors if t.name == _EMBEDDING), None)
    if rows is None:
        raise Unreadable(f"no {_EMBEDDING}: not a language model")
    tokens = lengths.get("tokenizer.ggml.tokens", 0)
    if not 0 < tokens <= rows:
        raise Unreadable(f"{tokens} tokens for {rows} rows of the embedding: they do not belong together")
    for key in ("tokenizer.ggml.token_type", "tokenizer.ggml.scores"):
        if lengths.get(key, tokens) != tokens:
            raise Unreadable(f"{key} has {lengths[key]:.6g} elements, and there are {tokens} tokens")
    if (elements := sum(lengths.values())) > 8 * tokens + 100_000:
        raise Unreadable(f"its lists have {elements:.6g} elements, too many for {tokens} tokens")
    family = str(values.get("general.architecture"))
    layers = values.get(f"{family}.block_count")
    there = len({t.name.split(".")[1] for t in tensors if t.name.startswith("blk.")})
    if not isinstance(layers, int) or not 0 < layers <= min(there, _MOST_LAYERS):
        raise Unreadable(f"block_count = {layers!a:.40}, and it holds the tensors of {there} layers")
