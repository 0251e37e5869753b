"""Files to rows: JSONL, JSON, CSV, TSV, Parquet and plain text, each also compressed; every row knows where
it stood.

Pickles are refused, bad bytes and broken lines are errors that name file and line. Knows nothing of prompts
or of field names.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import hashlib
import io
import json
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from iteralign.data.rows import Row, table_rows
from iteralign.data.turns import is_chat
from iteralign.errors import DataError
from iteralign.foreign.errors import short
from iteralign.text.printable import count_of

FORMATS: Final = ".jsonl, .json, .csv, .tsv, .parquet, .txt, and each of them with .gz, .bz2, .xz or .zip"
_PACKED: Final = frozenset({".gz", ".bz2", ".xz", ".zip"})
_ELSEWHERE: Final = {
    ".zst": "zstd -d",
    ".zstd": "zstd -d",
    ".lz4": "lz4 -d",
    ".br": "brotli -d",
    ".7z": "7z x",
}
_BETWEEN: Final = re.compile(r"[\s,]*")
_GZIP: Final = b"\x1f\x8b"
_PICKLES: Final = frozenset({".pkl", ".pickle", ".pt", ".pth", ".bin", ".joblib", ".ckpt", ".npy", ".npz"})
_MAX_BYTES: Final = 1 << 31  # of a decompressed file: 2 GiB
_ROW_KEYS: Final = frozenset({"data", "rows", "examples", "items", "records", "instances"})


def must_be_file(path: Path) -> None:
    """Raises ``DataError`` for a folder, and for a pipe or a device, which may never end."""
    if path.is_dir():
        raise DataError(f"{path}: is a folder. Name a file in it.")
    if path.exists() and not path.is_file():
        raise DataError(f"{path}: is a pipe or a device, not a file. Write what it holds into a file first.")


def read_rows(path: Path) -> tuple[list[Row], str]:
    """All rows of a file, in order, and the SHA-256 of its bytes as they lie on the disk.

    Raises ``DataError``.
    """
    name = str(path)
    suffixes = [s.lower() for s in path.suffixes]
    last = suffixes[-1] if suffixes else ""
    packed = last if last in _PACKED else ""
    kind = (suffixes[-2] if len(suffixes) > 1 else "") if packed else last
    if kind in _PICKLES:
        raise DataError(_pickle_message(name))
    if last in _ELSEWHERE:
        raise DataError(
            f"{name}: {last} is not unpacked here. Unpack it first: {_ELSEWHERE[last]} {path.name}"
        )
    must_be_file(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror or error})") from error
    if packed == ".zip":
        kind, content = _unzip(name, raw, kind)
    elif packed or (raw[:2] == _GZIP and kind != ".parquet"):  # downloads lose the ending at times
        content = _unpack(name, raw, packed or ".gz")
    else:
        content = raw
    if content[:1] == b"\x80" or (content[:2] == b"PK" and kind != ".parquet"):
        raise DataError(_pickle_message(name))
    readers: dict[str, Callable[[str, bytes], Iterator[Row]]] = {
        ".jsonl": _jsonl,
        ".ndjson": _jsonl,
        ".json": _json,
        ".csv": _csv,
        ".tsv": _csv,
        ".parquet": _parquet,
        ".txt": _txt,
    }
    if kind not in readers:
        raise DataError(
            f"{name}: {kind or 'a file without an extension'} is not a format that is read. Known: {FORMATS}"
        )
    return list(readers[kind](name, content)), hashlib.sha256(raw).hexdigest()


def _pickle_message(name: str) -> str:
    return (
        f"{name}: pickled data run their author's code when they are opened, so they are never read. "
        f'Write the prompts as JSONL (one {{"prompt": "..."}} a line), CSV or Parquet instead.'
    )


def _unpack(name: str, raw: bytes, packed: str) -> bytes:
    opened: dict[str, Callable[[io.BytesIO], Any]] = {
        ".gz": lambda file: gzip.GzipFile(fileobj=file),
        ".bz2": bz2.BZ2File,
        ".xz": lzma.LZMAFile,
    }
    try:
        with opened[packed](io.BytesIO(raw)) as handle:
            content: bytes = handle.read(_MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        form = {".gz": "gzip"}.get(packed, packed.removeprefix("."))
        raise DataError(
            f"{name}: not a whole {form} file ({error}). Copy it again, or drop {packed} if it is not "
            "compressed."
        ) from error
    return _not_too_long(name, content)


def _unzip(name: str, raw: bytes, kind: str) -> tuple[str, bytes]:
    """The form and the content of the one file in an archive. Raises ``DataError``."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            held = [m for m in archive.namelist() if not m.endswith("/") and not m.startswith("__MACOSX/")]
            if len(held) != 1:
                some = ", ".join(held[:8])
                raise DataError(f"{name}: an archive of {len(held)} files ({some}). Unpack it and name one.")
            with archive.open(held[0]) as handle:
                content = handle.read(_MAX_BYTES + 1)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
        raise DataError(f"{name}: not a whole zip file ({error}). Copy it again, or unpack it.") from error
    inner = Path(held[0]).suffix.lower()
    if inner in _PICKLES:
        raise DataError(_pickle_message(name))
    return inner or kind, _not_too_long(name, content)


def _not_too_long(name: str, content: bytes) -> bytes:
    if len(content) > _MAX_BYTES:
        raise DataError(
            f"{name}: more than {_MAX_BYTES >> 30} GiB when decompressed. Split it into smaller files."
        )
    return content


def _text(name: str, content: bytes) -> str:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"{name}: UTF-16 text. Save it as UTF-8: iconv -f utf-16 -t utf-8 OLD > NEW")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{name}, line {line}: byte 0x{content[error.start]:02x} is not UTF-8. Save the file as UTF-8, "
            f"for a Latin-1 file: iconv -f latin1 -t utf-8 OLD > NEW"
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(
            f"{name}, line {line}: holds a zero byte, so it is no text file in UTF-8. Save it as UTF-8 text."
        )
    return text


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Numbered lines that are not blank.

    Only line feeds and carriage returns end a line: JSON texts may hold other separators.
    """
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), start=1):
        if line.strip():
            yield number, line


def _txt(name: str, content: bytes) -> Iterator[Row]:
    for number, line in _lines(_text(name, content)):
        yield Row(f"{name}, line {number}", line.strip())


class _RepeatedKey(ValueError):
    """A JSON object names a key twice; Python's reader would keep the last value only."""


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        repeated = next(k for i, (k, _) in enumerate(pairs) if k in {other for other, _ in pairs[:i]})
        raise _RepeatedKey(
            f"the key {short(repeated)!r} occurs twice in one object; one of the two would be lost. "
            "Merge them."
        )
    return result


def _parse(where: str, text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_no_repeats)
    except _RepeatedKey as error:
        raise DataError(f"{where}: {error}") from error
    except json.JSONDecodeError:
        raise
    except RecursionError as error:
        raise DataError(f"{where}: nested too deeply to be prompts") from error
    except ValueError as error:  # a number of thousands of digits
        raise DataError(f"{where}: not JSON that can be read ({error})") from error


def _jsonl(name: str, content: bytes) -> Iterator[Row]:
    """A value a line; or one array, or values over several lines each, as some files of this name are."""
    text = _text(name, content)
    lines = list(_lines(text))
    for index, (number, line) in enumerate(lines):
        where = f"{name}, line {number}"
        try:
            value = _parse(where, line)
        except json.JSONDecodeError as error:
            if index == 0:
                whole = _over_lines(name, text)
                if whole is not None:
                    yield from whole
                    return
            raise DataError(f"{where}, column {error.colno}: not a JSON value ({error.msg}).") from error
        if _is_rows(value) or (isinstance(value, list) and len(lines) == 1 and not is_chat(value)):
            yield from (
                Row(f"{where}, item {n}", item) for n, item in enumerate(value, start=1)
            )  # an array in a line
        else:
            yield Row(where, value)


def _is_rows(value: object) -> bool:
    """Whether a value is a list of rows, and no chat."""
    return (
        isinstance(value, list)
        and bool(value)
        and not is_chat(value)
        and all(isinstance(v, dict) for v in value)
    )


def _over_lines(name: str, text: str) -> Iterator[Row] | None:
    """The rows of a file whose values go over lines; None where its first line is just broken.

    Raises ``DataError`` where it begins as an array and is none.
    """
    decoder = json.JSONDecoder(object_pairs_hook=_no_repeats)
    found: list[Row] = []
    place = 0
    while (begins := _BETWEEN.match(text, place).end()) < len(text):  # type: ignore[union-attr]  # matches all
        try:
            value, place = decoder.raw_decode(text, begins)
        except json.JSONDecodeError as error:
            if text.lstrip().startswith("["):
                raise DataError(
                    f"{name}, line {error.lineno}, column {error.colno}: not JSON ({error.msg})"
                ) from error
            return None
        except _RepeatedKey as error:
            raise DataError(f"{name}: {error}") from error
        except RecursionError as error:
            raise DataError(f"{name}: nested too deeply to be prompts") from error
        except ValueError as error:  # a number of thousands of digits
            raise DataError(f"{name}, value {len(found) + 1}: not JSON that can be read ({error})") from error
        found.append(Row(f"{name}, value {len(found) + 1}", value))
    if len(found) == 1 and isinstance(found[0].value, list):
        return _nested(name, found[0].value, ())
    if len(found) == 1 and isinstance(found[0].value, dict) and _holds_rows(found[0].value):
        return _nested(name, found[0].value, ())
    return iter(found)


def _holds_rows(value: dict[str, Any]) -> bool:
    chats = {"messages", "conversation", "conversations", "turns"}
    return bool(value) and not chats & set(value) and all(isinstance(v, list | dict) for v in value.values())


def _json(name: str, content: bytes) -> Iterator[Row]:
    text = _text(name, content)
    try:
        value = _parse(name, text)
    except json.JSONDecodeError as error:
        if (
            error.msg == "Extra data" and "\n" in text.strip()
        ):  # one value a line, as many .json files on the hub are
            yield from _jsonl(name, content)
            return
        raise DataError(
            f"{name}, line {error.lineno}, column {error.colno}: not JSON ({error.msg})"
        ) from error
    if not isinstance(value, list | dict):
        raise DataError(
            f"{name}: holds one {type(value).__name__}; a list of prompts, of objects, or topics with lists "
            "are read"
        )
    yield from _nested(name, value, ())


def _nested(name: str, value: list[Any] | dict[str, Any], path: tuple[str, ...]) -> Iterator[Row]:
    """Lists of rows at the ends of nested objects (topic -> subtopic -> list).

    An object of equally long lists is a table.
    """
    place = name + (f", {' / '.join(path)[:200]}" if path else "")
    if isinstance(value, list):
        for number, item in enumerate(value, start=1):
            yield Row(f"{place}, item {number}", item, path)
        return
    if not path and (table := table_rows(value)) is not None:
        for number, row in enumerate(table, start=1):
            yield Row(f"{place}, item {number}", row)
        return
    for key, inner in value.items():
        if not isinstance(inner, list | dict):
            raise DataError(
                f"{place}: {key!r} holds {_short(inner)}; expected a list of prompts, or an object of "
                "topics with lists"
            )
        anonymous = not path and len(value) == 1 and key.lower() in _ROW_KEYS
        yield from _nested(name, inner, () if anonymous else (*path, key))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _csv(name: str, content: bytes) -> Iterator[Row]:
    text = _text(name, content)
    header = text.lstrip().split("\n", 1)[0]
    delimiter = (
        max(",;\t", key=header.count) if not name.lower().removesuffix(".gz").endswith(".tsv") else "\t"
    )
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    columns: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            where = f"{name}, line {line}"
            line = reader.line_num + 1
            if not any(c.strip() for c in cells):
                continue
            if columns is None:
                columns = [c.strip() for c in cells]
                if len(set(columns)) < len(columns):
                    raise DataError(f"{where}: a column name occurs twice among {short(', '.join(columns))}")
                continue
            if len(cells) > len(columns):
                raise DataError(
                    f"{where}: {count_of(len(cells), 'cell')}, but the header has "
                    f"{count_of(len(columns), 'column')}. A text with a comma needs quotes."
                )
            yield Row(where, dict(zip(columns, cells, strict=False)))
    except csv.Error as error:
        raise DataError(f"{name}, line {reader.line_num}: not CSV ({error})") from error


def _parquet(name: str, content: bytes) -> Iterator[Row]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise DataError(
            f"{name}: reading Parquet needs pyarrow. Install it: pip install 'iteralign[train]'"
        ) from error
    try:
        table = pyarrow.parquet.read_table(pyarrow.BufferReader(content))
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{name}: not a whole Parquet file ({str(error).splitlines()[0]})") from error
    for number, row in enumerate(table.to_pylist(), start=1):
        yield Row(f"{name}, row {number}", row)
