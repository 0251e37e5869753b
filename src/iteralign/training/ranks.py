"""One training on several GPUs: launches one process for each through torchrun, and reads what they came to.

The processes get their work as a file and end when this process does. The run's lock stays here; of the
processes the first one writes. Knows nothing of how a model is trained.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from iteralign import errors
from iteralign.engines.probe import Memory
from iteralign.errors import IterAlignError, TrainingError
from iteralign.recipe.training import TrainingSection
from iteralign.records.chat import Message
from iteralign.records.iteralign import TrainingExample
from iteralign.training.fit import Fitted, Work
from iteralign.training.saving import last_state

FOLDER: Final = "ranks"
"""Of a training's folder: what its processes are given and say."""
PATIENCE: Final = 20.0
"""Seconds that processes which are told to end may take."""
_RAISED: Final = re.compile(r"(\[rank\d+\]: )?\S*(Error|Exception)\b")
_SAID: Final = 400
"""Characters of what a library says, in a message."""


def fit_on_ranks(work: Work, examples: Collection[TrainingExample], warn: Callable[[str], None]) -> Fitted:
    """Train in as many processes as the recipe says. Raises as ``fit`` does.

    A process that is killed is a ``TrainingError``: a resume goes on from the last trainer checkpoint.
    """
    folder = work.out / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    # here, for all of them must go on from the same one
    work = replace(work, state=last_state(work.out, work.attempt, work.settings))
    (folder / "work.json").write_text(json.dumps(_spelled(work, examples)), encoding="utf-8")
    count = work.settings.processes
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    command += ["--module", "iteralign.training.rank", str(folder)]
    with (folder / "log").open("wb") as log:
        # a pipe that nobody writes to: it ends with this process, however that ends
        launcher = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=_environment(), start_new_session=True
        )
        try:
            code = launcher.wait()
        finally:
            _end(launcher)
    for text in _lines(folder / "warnings"):
        if (told := _read(text)) is not None:
            warn(told)
    if code:
        raise _why(folder, code)
    found = json.loads((folder / "fitted.json").read_text(encoding="utf-8"))
    shutil.rmtree(folder)
    return Fitted(**found | {"memory": Memory(**found["memory"])})


def work_of(folder: Path) -> tuple[Work, list[TrainingExample]]:
    """What a process finds in its folder."""
    told = json.loads((folder / "work.json").read_text(encoding="utf-8"))
    settings = TrainingSection.model_validate(told["work"]["settings"])
    paths = {k: None if told["work"][k] is None else Path(told["work"][k]) for k in ("out", "state")}
    work = Work(**told["work"] | {"settings": settings} | paths)
    return work, [
        TrainingExample(
            messages=tuple(Message(**m) for m in e["messages"]), source=e["source"], weight=e["weight"]
        )
        for e in told["examples"]
    ]


def _spelled(work: Work, examples: Collection[TrainingExample]) -> dict[str, Any]:
    fields = {name: getattr(work, name) for name in Work.__dataclass_fields__}
    return {
        "work": fields
        | {"settings": work.settings.model_dump(mode="json"), "out": str(work.out)}
        | {"state": None if work.state is None else str(work.state)},
        "examples": [
            {"messages": [asdict(m) for m in e.messages], "source": e.source, "weight": e.weight}
            for e in examples
        ],
    }


def _environment() -> Mapping[str, str]:
    """This process's, with the way to this very package, and none to the working directory."""
    ours = str(Path(errors.__file__).parents[1])
    path = os.environ.get("PYTHONPATH")
    threads = os.environ.get("OMP_NUM_THREADS", "1")
    return os.environ | {
        "PYTHONPATH": os.pathsep.join([ours, path] if path else [ours]),
        "OMP_NUM_THREADS": threads,
        # else `-m` lets the folder that a user stands in go before the libraries
        "PYTHONSAFEPATH": "1",
    }


def _end(launcher: subprocess.Popen[bytes]) -> None:
    """Leave no process behind: the end of the pipe ends those that train."""
    assert launcher.stdin is not None
    launcher.stdin.close()
    if launcher.poll() is None:
        launcher.terminate()
    try:
        launcher.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        launcher.kill()
        launcher.wait()


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines() if file.is_file() else []


def _read(text: str) -> Any:
    """JSON that a process wrote; None where it was ended while it wrote."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _why(folder: Path, code: int) -> IterAlignError:
    """The error of the first process that raised one of ours, or what else ended them."""
    for file in sorted(folder.glob("error-*.json")):
        told = _read(file.read_text(encoding="utf-8", errors="replace"))
        if told is not None:
            kind = getattr(errors, told["kind"], TrainingError)
            error: IterAlignError = kind(told["message"])
            return error
    said = (folder / "log").read_text(encoding="utf-8", errors="replace")
    killed = [int(n) for n in re.findall(r"exitcode\s*:\s*-(\d+)", said)]
    first = next((n for n in killed if n != signal.SIGTERM), killed[0] if killed else None)
    if first is not None:
        name = signal.Signals(first).name
        return TrainingError(
            f"a process of the training was ended by {name}: killed from outside, or by the system for want "
            "of memory. Resume to go on from the last trainer checkpoint (training.save_steps)"
        )
    raised = [line for line in said.splitlines() if _RAISED.match(line)]
    text = raised[0][:_SAID] if raised else f"exit code {code}"
    return TrainingError(f"a process of the training failed: {text}. All that it said: {folder / 'log'}")
