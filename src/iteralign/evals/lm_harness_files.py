"""The local files that a YAML file of lm-eval names: its data, what it includes, its modules of functions,
and the tasks of a group.

A task's result depends on them, so that they are hashed with it. Reads files; knows nothing of models or of
lm-eval itself.
"""

from __future__ import annotations

import glob
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from iteralign.errors import DataError

NAMED = re.compile(r"^(?:task|group):[ \t]*[\"']?([\w.-]+)", re.MULTILINE)


_YAML = (".yaml", ".yml")


class _Loader(yaml.SafeLoader):
    """Reads any tag as what stands behind it; ``!function module.name`` as ``_Function``."""


class _Function(str):
    """The name of a function, with its module before the last dot."""


def _plain(loader: Any, suffix: str, node: Any) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return _Function(node.value) if suffix == "function" else node.value
    return (
        loader.construct_sequence(node, deep=True)
        if isinstance(node, yaml.SequenceNode)
        else loader.construct_mapping(node, deep=True)
    )


_Loader.add_multi_constructor("!", _plain)


def hashes(file: Path) -> dict[str, str]:
    """The SHA-256 of each local file that ``file`` names, and those that these name, by their names.

    A file that is not there counts as such.

    Raises ``DataError`` where a YAML file cannot be read.
    """
    found: dict[str, str] = {}
    seen = {file.resolve()}
    waiting = [file]
    while waiting:
        for path in _named_by(waiting.pop()):
            if path.resolve() in seen:
                continue
            seen.add(path.resolve())
            name = path.name if path.name not in found else f"{path.parent.name}/{path.name}"
            found[name] = _sha256(path)
            if path.suffix in _YAML and path.is_file():
                waiting.append(path)
    return found


def reached(file: Path) -> list[Path]:
    """The YAML files that lm-eval would read for ``file``: itself, what it includes, the tasks of a group.

    Raises ``DataError`` where one cannot be read.
    """
    found = {file.resolve(): file}
    waiting = [file]
    while waiting:
        for path in _named_by(waiting.pop()):
            if path.suffix in _YAML and path.is_file() and path.resolve() not in found:
                found[path.resolve()] = path
                waiting.append(path)
    return list(found.values())


def _named_by(file: Path) -> Iterator[Path]:
    value = _parsed(file)
    if not isinstance(value, dict):
        return
    for included in _texts(value.get("include")):
        yield _near(file, included)
    yield from (file.parent / f"{'/'.join(f.split('.')[:-1])}.py" for f in _functions(value))
    given = value.get("dataset_kwargs")
    options: dict[str, Any] = given if isinstance(given, dict) else {}
    folder = next(_texts(options.get("data_dir")), "")
    for text in _texts(options.get("data_files")):
        yield from _spread(str(Path(folder) / text) if "://" not in text else "")
    for text in (folder, *_texts(value.get("dataset_path"))):
        if text and (Path(text).expanduser().is_dir() or text.endswith(".py")):
            yield from _spread(text)
    wanted = set(_tasks(value))
    if wanted:
        yield from (
            p
            for p in sorted(file.parent.rglob("*.y*ml"))
            if (name := NAMED.search(p.read_text("utf-8", "replace"))) and name[1] in wanted
        )


def _tasks(value: dict[str, Any]) -> Iterator[str]:
    """The tasks that a group names."""
    listed = value.get("task")
    for each in listed if isinstance(listed, list) else []:
        yield from _texts(each.get("task") or each.get("group") if isinstance(each, dict) else each)


def _near(file: Path, named: str) -> Path:
    beside = file.parent / named
    return beside if beside.exists() else Path(named).expanduser()


def _spread(pattern: str) -> Iterator[Path]:
    """The files of a path, a folder or a pattern.

    The path itself where there is none, so that it counts when it comes.
    """
    if not pattern:
        return
    path = Path(pattern).expanduser()
    if path.is_dir():
        yield from (p for p in sorted(path.rglob("*")) if p.is_file())
    elif glob.has_magic(str(path)):
        yield from (Path(p) for p in sorted(glob.glob(str(path), recursive=True)) if Path(p).is_file())
    else:
        yield path


def _parsed(file: Path) -> Any:
    try:
        return yaml.load(file.read_text(encoding="utf-8"), _Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise DataError(f"{file}: cannot be read as YAML ({str(error).splitlines()[0]})") from error


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


def _functions(value: Any) -> Iterator[str]:
    if isinstance(value, _Function):
        yield value
    elif isinstance(value, list | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _functions(each)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return "not there"
