"""One training in two processes: what it comes to, and what is left when one of them is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from test_sft import GREEDY, LESSONS, files, trainer

from iteralign.engines.hf.host import HFHost
from iteralign.errors import TrainingError
from iteralign.recipe.training import TrainingSection
from iteralign.records.iteralign import Checkpoint
from iteralign.training.rank import ORPHANED
from iteralign.training.ranks import _environment, _why, work_of
from iteralign.training.saving import TRAINING_LOG
from patience import PATIENCE

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

HERE = Path(__file__).parent
TOLERANCE = 1e-4
"""Of a loss of some nats: sums of two processes are rounded in another order."""


@pytest.fixture(scope="module")
def base(tiny: Path) -> Checkpoint:
    return Checkpoint(path=str(tiny))


def losses_of(folder: Path) -> list[float]:
    return [h["loss"] for h in json.loads((folder / TRAINING_LOG).read_text())["losses"]]


@pytest.mark.bombs  # .ci/run has room for one launch: the next test's
def test_two_processes_train_as_one_does(base: Checkpoint, tmp_path: Path) -> None:
    made = trainer(gpus=2, strategy="ddp").finetune(base, LESSONS, tmp_path / "two")
    trainer().finetune(base, LESSONS, tmp_path / "one")
    assert losses_of(tmp_path / "two") == pytest.approx(losses_of(tmp_path / "one"), abs=TOLERANCE)
    assert sorted(files(tmp_path / "two")) == sorted(files(tmp_path / "one"))
    with HFHost(locate=lambda c: c.path, warn=print, device="cpu").serve(made) as policy:
        policy.generate([LESSONS[0].messages[:-1]], GREEDY)  # raises where the probe differs


@pytest.mark.slow
def test_a_killed_process_ends_the_training_and_a_resume_finishes_it(
    base: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With weights and moments that are split (FSDP2), as on GPUs."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE / "fsdp_on_cpu"), *sys.path]))
    out = tmp_path / "out"
    settings: dict[str, Any] = {"save_steps": 1, "epochs": 6}
    killer = threading.Thread(target=kill_second, args=(out, "checkpoint-2"), daemon=True)
    killer.start()
    with pytest.raises(TrainingError, match=r"ended by SIGKILL: .* Resume to go on") as raised:
        trainer(**settings, gpus=2).finetune(base, LESSONS, out)
    assert raised.value.exit_code == 8
    killer.join(PATIENCE)
    assert not ranks_in(out)
    assert list(out.glob("checkpoint-*"))
    trainer(**settings, gpus=2).finetune(base, LESSONS, out)
    trainer(**settings).finetune(base, LESSONS, tmp_path / "one")
    assert losses_of(out) == pytest.approx(losses_of(tmp_path / "one"), abs=TOLERANCE)
    assert sorted(files(out)) == sorted(files(tmp_path / "one"))


def kill_second(out: Path, when: str) -> None:
    """SIGKILL to the second process, once a trainer checkpoint is whole; it is held until then."""
    while not (out / when / "trainer_state.json").is_file():
        time.sleep(0.01)
    os.kill(next(pid for pid, rank in ranks_in(out) if rank == "1"), signal.SIGKILL)


def ranks_in(out: Path) -> list[tuple[int, str]]:
    """The processes that train in a folder, each with its rank."""
    import psutil

    found = []
    for process in psutil.process_iter():
        try:
            if str(out / "ranks") in process.cmdline() and "torch.distributed.run" not in process.cmdline():
                found.append((process.pid, process.environ()["RANK"]))
        except (psutil.Error, KeyError):
            continue
    return found


def test_a_process_ends_when_its_launcher_is_gone() -> None:
    code = (
        "import threading, time, iteralign.training.rank as r; "
        "threading.Thread(target=r._end_with_the_launcher).start(); print('up', flush=True); time.sleep(600)"
    )
    rank = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert rank.stdin is not None
    assert rank.stdout is not None
    assert rank.stdout.readline() == b"up\n"
    rank.stdin.close()
    assert rank.wait(PATIENCE) == ORPHANED
    rank.stdout.close()


def test_what_a_process_raised_is_the_trainings_error(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("noise\n[rank1]: ValueError: no such thing\n  exitcode  : 1 (pid: 7)\n")
    assert "ValueError: no such thing. All that it said: " in str(_why(tmp_path, 1))
    (tmp_path / "log").write_text("exitcode  : -15 (pid: 6)\nexitcode  : -9 (pid: 7)\n")
    assert "ended by SIGKILL" in str(_why(tmp_path, 1))
    told = {"kind": "Unavailable", "message": "no model here"}
    (tmp_path / "error-0.json").write_text(json.dumps(told)[:20])  # as a process leaves it that is killed
    (tmp_path / "error-1.json").write_text(json.dumps(told))
    error = _why(tmp_path, 1)
    assert (type(error).__name__, str(error), error.exit_code) == ("Unavailable", "no model here", 7)


def test_the_processes_get_the_whole_work(
    base: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written for them reads back equal, and a launch that fails names what it said."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(TrainingError, match="a process of the training failed: exit code 1"):
        trainer(gpus=2, strategy="ddp", seed=5).finetune(base, LESSONS, tmp_path / "out")
    work, examples = work_of(tmp_path / "out" / "ranks")
    assert [(e.messages, e.weight) for e in examples] == [(e.messages, e.weight) for e in LESSONS]
    assert (work.seed, work.place, work.out) == (5, base.path, tmp_path / "out")
    assert work.settings == trainer(gpus=2, strategy="ddp")._settings


def test_the_processes_import_nothing_from_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "trl.py").write_text("raise SystemExit('not the library')")
    code = "import importlib.util; print(importlib.util.find_spec('trl').origin)"
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip().endswith("__init__.py")


def test_fewer_gpus_than_a_run_began_with_are_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resume cannot change the number."""
    from iteralign.training.process_group import join

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    said = r"and 1 is here: start a run with training\.gpus = 1, or resume where there are 2"
    with pytest.raises(TrainingError, match=said):
        join(TrainingSection(gpus=2), "cuda")


def test_fsdp_without_gpus_names_the_other_way() -> None:
    from iteralign.training.process_group import join

    with pytest.raises(TrainingError, match=r"fsdp splits a model over GPUs.*use training\.strategy = ddp"):
        join(TrainingSection(gpus=2), "cpu")
