"""Run directories from elsewhere: what is no plain file there is neither read nor written through."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from iteralign.build.lines import write_lines
from iteralign.errors import StoreError
from iteralign.records.chat import Message
from iteralign.records.iteralign import Checkpoint, RedTeamPrompt
from iteralign.report.export import _copy, write_jsonl
from iteralign.report.products import write
from iteralign.report.summary import worked_on_by
from iteralign.store.run import Run

OWN = (
    "run.lock",
    "run.sqlite",
    "run.sqlite-wal",
    "run.sqlite-shm",
    "run.sqlite-journal",
    "recipe.yaml",
    "exports",
    "checkpoints",
)
BEFORE = ("run.lock", ".run.sqlite.new", ".run.sqlite.new-wal", ".recipe.yaml.new")
TREASURE = "not to be touched"


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """A user's file, and a folder beside it, that nothing may change."""
    folder = tmp_path / "home"
    folder.mkdir()
    file = folder / "treasure.txt"
    file.write_text(TREASURE)
    file.chmod(0o600)
    yield file
    assert file.read_text() == TREASURE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [p.name for p in folder.iterdir()] == ["treasure.txt"]


def a_run(folder: Path, **settings: object) -> Path:
    with Run.create(folder, settings, "seed: 0\n") as run:
        prompt = RedTeamPrompt(messages=(Message("user", "q"),), source="s")
        run.scope("x").once("prompts", list[RedTeamPrompt], given, [prompt.text])
        run.export()
    return folder


def given(texts: list[str]) -> list[RedTeamPrompt]:
    return [RedTeamPrompt(messages=(Message("user", t),), source="s") for t in texts]


def to_file(victim: Path, place: Path) -> None:
    place.symlink_to(victim)


def to_folder(victim: Path, place: Path) -> None:
    place.symlink_to(victim.parent)


def to_nothing(victim: Path, place: Path) -> None:
    place.symlink_to(victim.parent / "new")


def pipe(victim: Path, place: Path) -> None:
    os.mkfifo(place)


KINDS = (to_file, to_folder, to_nothing, pipe)


def put(kind: Callable[[Path, Path], None], victim: Path, place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        for path in place.iterdir():
            path.unlink()
        place.rmdir()
    place.unlink(missing_ok=True)
    kind(victim, place)


@pytest.mark.parametrize("readonly", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OWN)
def test_a_run_with_something_else_in_a_files_place_is_refused(
    tmp_path: Path, victim: Path, name: str, kind: Callable[[Path, Path], None], readonly: bool
) -> None:
    run = a_run(tmp_path / "run")
    put(kind, victim, run / name)
    with pytest.raises(StoreError, match=r"symbolic link|FIFO|holds no run"):
        Run.open(run, readonly=readonly)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", BEFORE)
def test_no_run_starts_where_something_else_lies(
    tmp_path: Path, victim: Path, name: str, kind: Callable[[Path, Path], None]
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    put(kind, victim, run / name)
    with pytest.raises(StoreError, match=r"symbolic link|FIFO"):
        Run.create(run, {}, "")
    assert not (run / "run.sqlite").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_waits_for_a_lock_that_is_a_pipe(
    tmp_path: Path, victim: Path, kind: Callable[[Path, Path], None]
) -> None:
    put(kind, victim, tmp_path / "run.lock")
    assert worked_on_by(tmp_path) is None


@pytest.mark.parametrize("kind", [to_file, to_nothing])
@pytest.mark.parametrize(
    "name", ["prompts.jsonl", ".prompts.jsonl.new", ".prompts.jsonl.partial", "verdict.jsonl"]
)
def test_a_file_that_is_written_never_goes_through_a_link(
    tmp_path: Path, victim: Path, name: str, kind: Callable[[Path, Path], None]
) -> None:
    put(kind, victim, tmp_path / name)
    write_jsonl([{"a": 1}], tmp_path / "prompts.jsonl")
    write_lines(tmp_path / "prompts.jsonl", [{"a": 1}])
    assert (tmp_path / "prompts.jsonl").read_text() == '{"a":1}\n'
    assert not (tmp_path / "prompts.jsonl").is_symlink()


@pytest.mark.parametrize("kind", [to_file, to_nothing])
@pytest.mark.parametrize("name", ["red_team_prompt.jsonl", ".red_team_prompt.jsonl.new"])
def test_exports_of_records_replace_links(
    tmp_path: Path, victim: Path, name: str, kind: Callable[[Path, Path], None]
) -> None:
    run = a_run(tmp_path / "run")
    put(kind, victim, run / "exports" / name)
    with Run.open(run) as opened:
        (written,) = opened.export()
    assert not written.is_symlink()
    assert '"q"' in written.read_text()


@pytest.mark.parametrize("product", ["constitution", "examples", "preferences", "figure"])
def test_no_product_is_written_into_a_linked_folder(tmp_path: Path, victim: Path, product: str) -> None:
    run = a_run(tmp_path / "run")
    with Run.open(run, readonly=True) as opened:
        put(to_folder, victim, run / "exports")
        with pytest.raises(StoreError, match="symbolic link"):
            write(opened, product)


def build(partial: Path) -> Checkpoint:
    (partial / "config.json").write_text("{}")
    (partial / "model.safetensors").write_text("weights")
    for path in partial.iterdir():
        path.chmod(0o666)
    return Checkpoint(path="x")


@pytest.mark.parametrize("kind", [to_folder, to_nothing])
@pytest.mark.parametrize("left", ["checkpoints/one", "checkpoints/.partial-one-abc"])
def test_weights_are_never_built_through_a_link(
    tmp_path: Path, victim: Path, left: str, kind: Callable[[Path, Path], None]
) -> None:
    run = a_run(tmp_path / "run")
    (run / "checkpoints").mkdir()
    put(kind, victim, run / left)
    with Run.open(run) as opened:
        made = opened.checkpoint("one", build)
        folder = Path(opened.locate(made))
    assert folder == (run / "checkpoints" / "one").resolve()
    assert not (run / "checkpoints" / "one").is_symlink()


def test_an_interrupted_training_that_holds_links_begins_anew(tmp_path: Path, victim: Path) -> None:
    run = a_run(tmp_path / "run")

    with Run.open(run) as opened, pytest.raises(KeyboardInterrupt):
        opened.checkpoint("one", fails_at_first)
    (partial,) = (run / "checkpoints").iterdir()
    put(to_file, victim, partial / "checkpoint-8" / "optimizer.pt")
    put(to_file, victim, partial / "model.safetensors")
    with Run.open(run) as opened:
        opened.checkpoint("one", fails_at_first)
    assert not any(p.is_symlink() for p in run.rglob("*"))


def fails_at_first(partial: Path) -> Checkpoint:
    if (partial / "checkpoint-8").is_dir():
        raise AssertionError("the links are still there")
    if not list(partial.parent.glob("../interrupted")):
        (partial / "checkpoint-8").mkdir()
        (partial.parent.parent / "interrupted").touch()
        raise KeyboardInterrupt
    return build(partial)


def test_a_run_is_its_owners_affair_unless_it_is_shared(tmp_path: Path) -> None:
    own = a_run(tmp_path / "own")
    shared = a_run(tmp_path / "shared", shared=True)
    umask = os.umask(0o022)
    os.umask(umask)
    assert stat.S_IMODE(own.stat().st_mode) == 0o700
    assert stat.S_IMODE(shared.stat().st_mode) == 0o777 & ~umask


def test_a_directory_that_the_user_made_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o750)
    assert stat.S_IMODE(a_run(tmp_path / "run").stat().st_mode) == 0o750


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_checkpoints_are_never_writable_by_others(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        run = a_run(tmp_path / "run")
        with Run.open(run) as opened:
            folder = Path(opened.locate(opened.checkpoint("one", build)))
        exported = tmp_path / "examples.jsonl"
        write_jsonl([{"a": 1}], exported)
    finally:
        os.umask(before)
    for path in [folder, *folder.rglob("*")]:
        assert not stat.S_IMODE(path.stat().st_mode) & 0o022, path
    assert stat.S_IMODE(exported.stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_an_exported_model_is_the_model_and_nothing_else(tmp_path: Path, victim: Path, umask: int) -> None:
    """A checkpoint that somebody handed on: links to a user's files, code, pickles, pipes."""
    source = tmp_path / "source"
    source.mkdir()
    build(source)
    (source / "tokenizer.json").symlink_to(source / "config.json")
    for name in ("pytorch_model.bin", "adapter_model.bin", "modeling_x.py", "training_args.bin", "notes.md"):
        (source / name).write_text("foreign")
    put(to_file, victim, source / "vocab.txt")
    put(to_nothing, victim, source / "merges.txt")
    put(pipe, victim, source / "special.json")
    (source / "inner").mkdir()
    before = os.umask(umask)
    try:
        _copy(source, tmp_path / "out")
    finally:
        os.umask(before)
    exported = sorted((tmp_path / "out").iterdir())
    assert [p.name for p in exported] == ["config.json", "model.safetensors", "tokenizer.json"]
    for path in exported:
        assert not path.is_symlink()
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def test_a_model_whose_weights_lie_elsewhere_is_not_exported_without_them(
    tmp_path: Path, victim: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    build(source)
    put(to_file, victim, source / "model.safetensors")
    with pytest.raises(StoreError, match="no weights that can be copied"):
        _copy(source, tmp_path / "out", base=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["home", "source"]


def test_a_model_of_the_hubs_cache_is_exported_whole(tmp_path: Path) -> None:
    snapshot = tmp_path / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (tmp_path / "blobs").mkdir()
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "blobs" / f"sha-{name}").write_text(name)
        (snapshot / name).symlink_to(Path("..", "..", "blobs", f"sha-{name}"))
    _copy(snapshot, tmp_path / "out")
    assert {p.name: p.read_text() for p in (tmp_path / "out").iterdir()} == {
        "config.json": "config.json",
        "model.safetensors": "model.safetensors",
    }
