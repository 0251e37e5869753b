"""Checkpoint folders as files: their hash, their way to the disk, and what is wrong with a damaged one.

Knows files, not models, and nothing of the database.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from iteralign.canonical import content_hash
from iteralign.errors import CheckpointCorrupt, StoreError
from iteralign.records.iteralign import Checkpoint
from iteralign.store.files import close_to_others, flush_folder, kind_of, links_in, remove_tree

FOLDER = "checkpoints"
PARTIAL = ".partial-"
WEIGHTS = (".safetensors", ".json", ".jinja", ".model", ".txt")
NOT_WEIGHTS = ("training_log.json", "trainer_state.json")
TRAINER_CHECKPOINT = "checkpoint-"
_PICKLED = re.compile(r"pytorch_model(-\d{5}-of-\d{5})?\.bin")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class File:
    """A file of a checkpoint: its name in the folder, its size and its SHA-256."""

    name: str
    size: int
    sha256: str


def home(checkpoint: Checkpoint) -> str | None:
    """The name of the run's own folder that a checkpoint lies in, or None for a model's name or a user's
    folder.

    Raises ``StoreError`` for a path that would lead out of ``checkpoints/``.
    """
    head, _, name = checkpoint.path.partition("/")
    if head != FOLDER or not checkpoint.weights_hash:
        return None
    return safe(name)


def safe(name: str) -> str:
    """The name, if it can be a folder of a run. Raises ``StoreError``."""
    if not NAME.fullmatch(name):
        raise StoreError(
            f"{name!r} cannot be the name of a checkpoint: use letters, digits, '.', '_' and '-', and "
            "begin with a letter or digit"
        )
    return name


def manifest(folder: Path) -> list[File]:
    """Everything in a folder that the model is made of, by name; times, modes, logs and a trainer's own
    checkpoints do not count.
    """
    return [File(name, path.stat().st_size, _sha256(path)) for name, path in _weights(folder)]


def files_of(folder: Path, *, base: bool = False) -> list[tuple[str, Path]]:
    """Name and place of each file directly in a model's folder that the model is made of.

    A link counts where it stays in the folder, or leads to the blobs of the hub client's cache, whose folders
    hold nothing but links. Others, code and pickles are no part of a model; ``base``: a user's own may have
    its weights in one, as ``transformers`` names and reads it.
    """
    found = []
    home = folder.resolve()
    blobs = home.parent.parent / "blobs"
    for path in sorted(folder.iterdir()):
        counts = path.suffix in WEIGHTS or (base and _PICKLED.fullmatch(path.name))
        if not counts or path.name in NOT_WEIGHTS or not path.is_file():
            continue
        target = path.resolve()
        cached = home.parent.name == "snapshots" and target.parent == blobs
        if target.parent == home or cached:
            found.append((path.name, target))
    return found


def hash_of(files: Sequence[File]) -> str:
    """What a checkpoint's ``weights_hash`` is: a hash of names and contents."""
    return content_hash([[f.name, f.sha256] for f in files])


def verify(folder: Path, checkpoint: Checkpoint, known: Sequence[File]) -> None:
    """Raises ``CheckpointCorrupt``, naming the file, where the folder is not what was written."""
    if not folder.is_dir():
        raise CheckpointCorrupt(
            f"checkpoint {folder} is missing: resume the run, and it is trained again from the stored "
            "examples"
        )
    remedy = f"delete the folder {folder} and resume: it is trained again from the stored examples"
    present = dict(_weights(folder))
    for file in known:
        if file.name not in present:
            raise CheckpointCorrupt(f"{folder / file.name} is missing: {remedy}")
        size = present[file.name].stat().st_size
        if size != file.size:
            raise CheckpointCorrupt(
                f"{folder / file.name} is damaged: it has {size:,} bytes instead of {file.size:,}: {remedy}"
            )
    wanted = {f.name: f.sha256 for f in known}
    found = manifest(folder)
    for file in found:
        if known and wanted.get(file.name) != file.sha256:
            what = (
                "is damaged: its content is not what was written"
                if file.name in wanted
                else "does not belong there"
            )
            raise CheckpointCorrupt(f"{folder / file.name} {what}: {remedy}")
    if hash_of(found) != checkpoint.weights_hash:
        raise CheckpointCorrupt(f"{folder} does not hold the weights of {checkpoint.id}: {remedy}")


def prepare(folder: Path) -> None:
    """Make the folder that weights are built in. What an interrupted trainer left to go on from is kept,
    anything else is not.
    """
    begun = any(p.is_dir() for p in folder.glob(f"{TRAINER_CHECKPOINT}*"))
    if folder.is_symlink() or (folder.exists() and (not begun or any(links_in(folder)))):
        remove_tree(folder)
    folder.mkdir(parents=True, exist_ok=True)


def finish(partial: Path, final: Path) -> None:
    """Bring a built folder to the disk and give it its name: it is there whole or not at all."""
    for path in sorted(partial.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        elif path.is_dir():
            flush_folder(path)
    flush_folder(partial)
    close_to_others(partial)
    if final.exists() or final.is_symlink():
        remove_tree(final)
    os.replace(partial, final)
    flush_folder(final.parent)


def remove(folder: Path) -> None:
    """Delete a checkpoint's folder."""
    remove_tree(folder)
    flush_folder(folder.parent)


def clear_partial(directory: Path, keep: Path | None = None) -> None:
    """Delete half-built folders of a run, all but ``keep``."""
    for folder in (directory / FOLDER).glob(f"{PARTIAL}*"):
        if folder != keep:
            remove_tree(folder)


def _weights(folder: Path) -> list[tuple[str, Path]]:
    found = []
    for path in folder.rglob("*"):
        within = path.relative_to(folder)
        aside = any(part.startswith((".", TRAINER_CHECKPOINT)) for part in within.parts[:-1])
        if (
            kind_of(path) == "a file"
            and path.suffix in WEIGHTS
            and path.name not in NOT_WEIGHTS
            and not aside
        ):
            found.append((within.as_posix(), path))
    return sorted(found)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
