"""Reads small files that people write by hand: one item a line, or a YAML list of mappings; each item knows
where it stood.

Every error is a ``DataError`` with file, line and remedy. Knows nothing of what the items mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources.abc import Traversable
from pathlib import Path

from iteralign.errors import DataError
from iteralign.foreign.errors import Unreadable


def _text(path: Path | Traversable) -> str:
    try:
        content = path.read_bytes()
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}). Check the path.") from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}, line {line}: byte 0x{content[error.start]:02x} is not UTF-8. Save the file as UTF-8."
        ) from error


def numbered_lines(path: Path | Traversable) -> Iterator[tuple[int, str]]:
    """The numbered lines of a text file, stripped.

    Blank lines and lines that open with ``#`` do not count.
    """
    found = [
        (n, x.strip())
        for n, x in enumerate(_text(path).split("\n"), start=1)
        if x.strip() and not x.lstrip().startswith("#")
    ]
    if not found:
        raise DataError(f"{path}: holds no line. Write one item a line.")
    yield from found


def yaml_items(path: Path | Traversable, names: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    """The mappings of a YAML list, each with where it stands.

    Every scalar is taken as the text that it is.
    """
    import yaml

    from iteralign.foreign.yaml import compose

    form = f"Write a list of mappings with the fields {', '.join(names)}."
    try:
        node = compose(_text(path))
    except Unreadable as error:
        raise DataError(f"{path}{error.at}: {error}. {form}") from error
    if not isinstance(node, yaml.SequenceNode) or not node.value:
        raise DataError(f"{path}: holds no list. {form}")
    for item in node.value:
        where = f"{path}, line {item.start_mark.line + 1}"
        pairs = item.value if isinstance(item, yaml.MappingNode) else []
        fields = {str(k.value): v.value.strip() for k, v in pairs if isinstance(v, yaml.ScalarNode)}
        for name in names:
            if not fields.get(name):
                raise DataError(f"{where}: no text in the field {name}. {form}")
        if len(pairs) > len(names):
            odd = next((str(k.value) for k, _ in pairs if k.value not in names), "one of them twice")
            raise DataError(f"{where}: a field too many ({odd[:60]}). {form}")
        yield where, fields
