"""GGUF files from others: counts, lists, texts, shapes and numbers that cannot be, refused before a load."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from confined import confined, is_one_message, shows_little
from hostile.test_bombs import MEGABYTES, SECONDS, bare
from iteralign.engines import folders, gguf
from iteralign.errors import Unavailable
from tiny_gguf import original as original
from tiny_gguf import write

pytest.importorskip("torch")
pytest.importorskip("gguf")

U8, U32, TEXT, LIST, U64 = 0, 4, 8, 9, 10
MANY = 1 << 60


def head(tensors: int = 0, keys: int = 0, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, keys)


def text(content: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(content) if length is None else length) + content


def key(name: bytes, kind: int, value: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + value


def listed(kind: int, count: int, content: bytes = b"") -> bytes:
    return struct.pack("<IQ", kind, count) + content


def tensor(name: bytes, shape: tuple[int, ...], kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def one(kind: int, value: bytes) -> bytes:
    return head(keys=1) + key(b"a", kind, value)


BYTES = {
    "nothing behind the name": b"GGUF",
    "a version of nobody": head(version=9),
    "for the other byte order": b"GGUF" + struct.pack(">IQQ", 3, 0, 0),
    "keys without end": head(keys=MANY) + bytes(10_000),
    "tensors without end": head(tensors=MANY) + bytes(10_000),
    "more keys than anybody has": head(keys=100_000) + bytes(10_000_000),
    "a list of bytes without end": one(LIST, listed(U8, MANY)),
    "a list of numbers without end": one(LIST, listed(U64, MANY)),
    "a list of texts without end": one(LIST, listed(TEXT, MANY)),
    "a list of nothing, without end": one(LIST, listed(13, MANY)),
    "a list in a list": one(LIST, listed(LIST, 1, listed(LIST, 1))),
    "lists in lists": one(LIST, listed(LIST, MANY) * 50_000),
    "a list longer than a model's": one(LIST, listed(U8, 20_000_000, bytes(20_000_000))),
    "many empty texts": one(LIST, listed(TEXT, 2_000_000, bytes(16_000_000))),
    "a text without end": one(TEXT, text(b"x", MANY)),
    "a text to 2**64": one(TEXT, text(b"x", (1 << 64) - 1)),
    "a text of 30 MB": one(TEXT, text(b"x" * 30_000_000)),
    "a key of 30 MB": head(keys=1) + key(b"x" * 30_000_000, U8, b"\0"),
    "a text that is not UTF-8": one(TEXT, text(b"\xff\xfe")),
    "a key that is not UTF-8": head(keys=1) + key(b"\xff", U8, b"\0"),
    "a type of nobody": one(99, b"\0" * 8),
    "a key twice": head(keys=2) + 2 * key(b"a", U8, b"\0"),
    "an escape sequence twice": head(keys=2) + 2 * key(b"\x1b[31m" * 400, U8, b"\0"),
    "no tensors": head(),
    "a tensor of no dimension": head(tensors=1) + tensor(b"a", ()),
    "a tensor of a billion dimensions": head(tensors=1) + text(b"a") + struct.pack("<I", 1 << 30),
    "a tensor beyond memory": head(tensors=1) + tensor(b"a", (MANY, MANY, MANY, MANY)),
    "a tensor of nothing": head(tensors=1) + tensor(b"a", (0, 5)),
    "a tensor of a type of nobody": head(tensors=1) + tensor(b"a", (32,), 999) + bytes(500),
    "a tensor behind the end": head(tensors=1) + tensor(b"a", (32,), 0, MANY) + bytes(500),
    "half a block": head(tensors=1) + tensor(b"a", (33,), 8) + bytes(500),
    "a tensor twice": head(tensors=2) + tensor(b"a", (8,)) + tensor(b"a", (8,), 0, 32) + bytes(500),
    "tensors that share their bytes": head(tensors=2) + tensor(b"a", (8,)) + tensor(b"b", (8,)) + bytes(500),
    "an alignment of nothing": head(keys=1) + key(b"general.alignment", U32, bytes(4)),
    "an alignment of text": head(keys=1) + key(b"general.alignment", TEXT, text(b"x")),
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(gguf.CACHE, str(tmp_path / "cache"))


def refused(file: Path) -> str:
    """The one message with which a file is refused before anything is read by a library."""
    with pytest.raises(Unavailable) as told:
        folders.must_be_whole(str(file))
    said = str(told.value)
    assert is_one_message(said, file)
    assert "\x1b" not in said
    return said


@pytest.mark.parametrize("content", BYTES.values(), ids=BYTES.keys())
def test_a_header_that_cannot_be_is_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "a.gguf"
    file.write_bytes(content)
    said = refused(file)
    assert shows_little(said, content.decode("latin-1"))


HEADERS: dict[str, dict[str, Any]] = {
    "a billion layers": {"llama.block_count": 10**9},
    "one layer more": {"llama.block_count": 3},
    "no layers": {"llama.block_count": 0},
    "an architecture of nobody": {"general.architecture.": 1, "llama.block_count": None},
    "more tokens than rows": {"tokenizer.ggml.tokens": [f"<{n}>" for n in range(1000)]},
    "no tokens": {"tokenizer.ggml.tokens": None},
    "one of many parts": {"split.count": 4_000_000_000},
}


@pytest.mark.parametrize("changed", HEADERS.values(), ids=HEADERS.keys())
def test_a_model_that_cannot_be_is_refused(changed: dict[str, Any], tmp_path: Path, original: Any) -> None:
    refused(write(tmp_path / "a.gguf", *original, **changed))


NUMBERS = {
    "a wide middle": {"llama.feed_forward_length": 10**9},
    "a hidden size beyond memory": {"llama.embedding_length": 4 * 10**9},
    "a million heads": {"llama.attention.head_count": 10**6},
    "no heads": {"llama.attention.head_count": 0},
    "a vocabulary of a billion": {"llama.vocab_size": 10**9},
    "tokens that are one": {"tokenizer.ggml.tokens": ["x"] * 386},
    "types of nothing": {"tokenizer.ggml.token_type": [7] * 3},
    "merges of nobody": {"tokenizer.ggml.merges": ["a", "b c d", ""]},
    "no merges": {"tokenizer.ggml.merges": None},
    "an end of nowhere": {"tokenizer.ggml.eos_token_id": 4_000_000_000},
    "a padding of nowhere": {"tokenizer.ggml.padding_token_id": 4_000_000_000},
    "a tokenizer of nobody": {"tokenizer.ggml.model": "nobodys"},
}


@pytest.mark.parametrize("changed", NUMBERS.values(), ids=NUMBERS.keys())
def test_numbers_that_the_weights_do_not_bear_leave_no_model(
    changed: dict[str, Any], tmp_path: Path, original: Any
) -> None:
    file = write(tmp_path / "a.gguf", *original, **changed)
    with pytest.raises(Unavailable) as told:
        gguf.converted(str(file))
    assert is_one_message(str(told.value), file)
    assert not gguf.folder_for(str(file)).exists()


def test_what_a_message_shows_of_a_file_obeys_no_terminal(tmp_path: Path, original: Any) -> None:
    file = write(tmp_path / "a.gguf", *original, tokenizer__ggml__pre="\x1b[2J" * 9)
    said: list[str] = []
    gguf.converted(str(file), said.append)
    assert said
    assert all(line.isprintable() for line in said)


QUICK = ("a list of bytes without end",)
SLOW = ("keys without end", "lists in lists", "many empty texts", "a text of 30 MB", "a tensor beyond memory")


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(n, marks=pytest.mark.bombs) for n in SLOW)])
def test_a_bomb_ends_soon_and_small(name: str, tmp_path: Path) -> None:
    file = tmp_path / "a.gguf"
    file.write_bytes(BYTES[name])
    done = confined("run", "smoke", "--dry-run", "--model", file)
    assert done.code == 7, done.said
    assert is_one_message(done.said, file), done.said
    assert done.seconds < SECONDS
    assert done.megabytes - bare().megabytes < MEGABYTES
