"""Checkpoints: whole or not at all, verified before use, built again when lost, not deleted by mistake."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from iteralign.errors import CheckpointCorrupt, StoreError
from iteralign.records.iteralign import Checkpoint
from iteralign.store.run import Run
from remembering import keep, once


def start(directory: Path) -> Run:
    return Run.create(directory / "run", {"seed": 0}, "seed: 0\n")


def trained(content: str = "weights") -> Callable[[Path], Checkpoint]:
    def build(out: Path) -> Checkpoint:
        (out / "model.safetensors").write_text(content * 100)
        (out / "config.json").write_text("{}")
        (out / "training_log.json").write_text(str(out))  # a log may differ between equal runs
        return Checkpoint(path=str(out), parent="checkpoint-base", data_hash="d", trainer_hash="t")

    return build


def never(out: Path) -> Checkpoint:
    pytest.fail("was built again")


def test_a_checkpoint_is_built_once_and_found_again(tmp_path: Path) -> None:
    with start(tmp_path) as run:
        first = keep(run, "iteration-0001", trained())
        assert first.path == "checkpoints/iteration-0001"
        assert first.parent == "checkpoint-base"
        assert first.weights_hash
        assert Path(run.locate(first)) == tmp_path / "run" / "checkpoints" / "iteration-0001"
        assert [p.name for p in (tmp_path / "run" / "checkpoints").iterdir()] == ["iteration-0001"]
    with start(tmp_path) as run:
        assert keep(run, "iteration-0001", never) == first
        assert run.read(Checkpoint, "checkpoints", "iteration-0001") == [first]


def test_the_same_weights_are_the_same_checkpoint_wherever_they_lie(tmp_path: Path) -> None:
    with start(tmp_path / "a") as a, start(tmp_path / "b") as b:
        assert keep(a, "x", trained()) == keep(b, "x", trained())
        assert a.digest() == b.digest()
        assert keep(a, "y", trained("other")).id != keep(b, "y", trained()).id
        assert a.digest() != b.digest()


def test_other_inputs_are_built_anew(tmp_path: Path) -> None:
    with start(tmp_path) as run:
        keep(run, "x", trained(), ["example-1"])
    with start(tmp_path) as run:
        assert keep(run, "x", trained("other"), ["example-2"]) != keep(run, "y", trained())
        assert (tmp_path / "run" / "checkpoints" / "x" / "model.safetensors").read_text().startswith("other")


def test_lost_weights_are_built_again_and_change_nothing_that_follows(tmp_path: Path) -> None:
    def program(run: Run, content: str = "weights") -> int:
        checkpoint = keep(run, "x", trained(content))
        return once(run.scope(f"evaluation-{checkpoint.id}"), "harm", int, lambda: len(content))

    with start(tmp_path) as run:
        program(run)
        digest = run.digest()
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "x")
    with start(tmp_path) as run:
        program(run)
        assert run.digest() == digest
        assert [e.fields["text"] for e in run.events("warning")] == [
            "checkpoint x is missing or was made of other inputs: it is made again"
        ]
        assert run.events("superseded") == []
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "x")
    with (
        start(tmp_path) as run
    ):  # a machine that does not repeat itself: what followed from the old weights does not count any more
        assert program(run, "other") == 5
        assert len([s for s in run.scopes() if s.startswith("evaluation")]) == 1
        other = run.digest()
    with start(tmp_path / "fresh") as run:
        program(run, "other")
        assert run.digest() == other


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (
            lambda f: (f / "model.safetensors").write_text("weights" * 10),
            r"x/model.safetensors is damaged: it has 70 bytes instead of 700",
        ),
        (
            lambda f: (f / "model.safetensors").write_text("weighty" * 100),
            r"x/model.safetensors is damaged: its content is not what was written",
        ),
        (lambda f: (f / "config.json").unlink(), r"x/config.json is missing"),
        (
            lambda f: (f / "adapter_config.json").write_text("{}"),
            r"x/adapter_config.json does not belong there",
        ),
    ],
)
def test_damaged_weights_are_named_and_the_remedy_works(
    tmp_path: Path, harm: Callable[[Path], object], message: str
) -> None:
    with start(tmp_path) as run:
        checkpoint = keep(run, "x", trained())
    folder = tmp_path / "run" / "checkpoints" / "x"
    harm(folder)
    with start(tmp_path) as run:
        with pytest.raises(CheckpointCorrupt, match=message) as caught:
            run.locate(keep(run, "x", never))
        assert f"delete the folder {folder} and resume: it is trained again from the stored examples" in str(
            caught.value
        )
    shutil.rmtree(folder)
    with (
        Run.open(tmp_path / "run", readonly=True) as run,
        pytest.raises(CheckpointCorrupt, match="is missing: resume the run"),
    ):
        run.locate(checkpoint)
    with start(tmp_path) as run:
        assert keep(run, "x", trained()) == checkpoint
        run.locate(checkpoint)


def test_logs_and_hidden_files_beside_the_weights_are_nobodys_business(tmp_path: Path) -> None:
    with start(tmp_path) as run:
        checkpoint = keep(run, "x", trained())
    folder = tmp_path / "run" / "checkpoints" / "x"
    (folder / "README.md").write_text("notes")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "x.json").write_text("{}")
    with start(tmp_path) as run:
        run.locate(checkpoint)


def test_a_build_that_dies_leaves_no_checkpoint_and_a_fresh_start(tmp_path: Path) -> None:
    def dies(out: Path) -> Checkpoint:
        trained()(out)
        (out / "half.json").write_text("{")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), start(tmp_path) as run:
        keep(run, "x", dies)
    with start(tmp_path) as run:
        assert not (tmp_path / "run" / "checkpoints" / "x").exists()
        whole = keep(run, "x", trained())
        assert not (Path(run.locate(whole)) / "half.json").exists()
    with start(tmp_path / "other") as run:
        assert keep(run, "x", trained()) == whole


def test_a_trainer_that_left_checkpoints_of_its_own_gets_its_folder_back(tmp_path: Path) -> None:
    def dies(out: Path) -> Checkpoint:
        (out / "checkpoint-5").mkdir()
        (out / "checkpoint-5" / "optimizer.json").write_text("{}")
        raise KeyboardInterrupt

    def goes_on(out: Path) -> Checkpoint:
        assert (out / "checkpoint-5" / "optimizer.json").exists()
        shutil.rmtree(out / "checkpoint-5")
        return trained()(out)

    def starts_over(out: Path) -> Checkpoint:
        assert list(out.iterdir()) == []
        return trained()(out)

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), start(tmp_path) as run:
            keep(
                run,
                "x",
                lambda out: dies(out) if not list(out.iterdir()) else pytest.fail("twice"),
                "examples",
            )
        with start(tmp_path) as run:
            keep(run, "x", goes_on, "examples")
        shutil.rmtree(tmp_path / "run" / "checkpoints" / "x")
    with pytest.raises(KeyboardInterrupt), start(tmp_path) as run:
        keep(run, "y", dies, "examples")
    with start(tmp_path) as run:
        keep(run, "y", starts_over, "other examples")  # what was learnt of other examples is of no use
        assert sorted(p.name for p in (tmp_path / "run" / "checkpoints").iterdir()) == ["y"]


def test_a_build_without_weights_is_refused(tmp_path: Path) -> None:
    with (
        start(tmp_path) as run,
        pytest.raises(StoreError, match=r"checkpoint x: the training left no weights \(\.safetensors"),
    ):
        keep(run, "x", lambda out: Checkpoint(path="x"))


class SafetensorError(Exception):
    """As the library of that name says it: not an OSError."""


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        SafetensorError("I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_disk_that_fills_up_during_training_is_said_and_the_run_goes_on_later(
    tmp_path: Path, error: Exception
) -> None:
    def fills(out: Path) -> Checkpoint:
        trained()(out)
        raise RuntimeError("could not save") from error

    with start(tmp_path) as run:
        with pytest.raises(
            StoreError,
            match="the disk is full: free some space and resume; everything that was finished is kept",
        ):
            keep(run, "x", fills)
        keep(run, "x", trained())


def test_other_errors_of_a_build_are_its_own(tmp_path: Path) -> None:
    with start(tmp_path) as run, pytest.raises(ZeroDivisionError):
        keep(run, "x", lambda out: Checkpoint(path=str(1 // 0)))


def test_discarded_weights_are_gone_and_the_records_stay(tmp_path: Path) -> None:
    with start(tmp_path) as run:
        checkpoint = keep(run, "x", trained())
        run.locate(checkpoint)
        digest = run.digest()
        run.discard(checkpoint)
        run.discard(checkpoint)
        assert not (tmp_path / "run" / "checkpoints" / "x").exists()
    with (
        Run.open(tmp_path / "run", readonly=True) as run,
        pytest.raises(CheckpointCorrupt, match="was discarded: the run did not keep its weights"),
    ):
        run.locate(checkpoint)
    with start(tmp_path) as run:
        assert keep(run, "x", never) == checkpoint
        assert run.digest() == digest


def test_discarded_weights_that_are_needed_again_come_back_with_the_next_resume(tmp_path: Path) -> None:
    """When a measurement of them was damaged and deleted, say."""
    with start(tmp_path) as run:
        run.discard(checkpoint := keep(run, "x", trained()))
    with (
        start(tmp_path) as run,
        pytest.raises(
            CheckpointCorrupt,
            match="was discarded, but is needed again: resume the run, and it is trained again",
        ),
    ):
        run.locate(keep(run, "x", never))
    with start(tmp_path) as run:
        assert keep(run, "x", trained()) == checkpoint
        run.locate(checkpoint)


def test_a_discard_that_was_killed_half_way_is_finished_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start(tmp_path) as run:
        checkpoint = keep(run, "x", trained())
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "rmtree", lambda folder: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                run.discard(checkpoint)
    with start(tmp_path) as run:
        run.discard(keep(run, "x", never))
    assert not (tmp_path / "run" / "checkpoints" / "x").exists()


def test_equal_weights_of_two_iterations_are_discarded_apart(tmp_path: Path) -> None:
    with start(tmp_path) as run:
        one, two = keep(run, "one", trained()), keep(run, "two", trained())
        assert one.id == two.id
        run.discard(one)
        run.locate(two)
        (tmp_path / "run" / "checkpoints" / "one").mkdir()
        with pytest.raises(CheckpointCorrupt):
            run.locate(one)
    with start(tmp_path) as run:
        keep(run, "two", never)


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint(path="org/model"),
        Checkpoint(path="checkpoints/mine"),
        Checkpoint(path="/models/x", weights_hash="h"),
        Checkpoint(path="x"),
    ],
)
def test_models_of_the_user_are_neither_verified_nor_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: Checkpoint
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checkpoints" / "mine").mkdir(parents=True)
    with start(tmp_path) as run:
        assert run.locate(checkpoint) == checkpoint.path
        run.discard(checkpoint)
    assert (tmp_path / "checkpoints" / "mine").is_dir()


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", ".hidden", "x" * 200, "x\ny"])
def test_no_name_leads_out_of_the_run(tmp_path: Path, name: str) -> None:
    with start(tmp_path) as run:
        with pytest.raises(StoreError, match="cannot be the name of a checkpoint"):
            keep(run, name, trained())
        with pytest.raises(StoreError, match="cannot be the name of a checkpoint"):
            run.discard(Checkpoint(path=f"checkpoints/{name}", weights_hash="h"))
