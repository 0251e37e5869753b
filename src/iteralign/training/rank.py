"""One of the processes that train together: ``torchrun --module iteralign.training.rank FOLDER``.

Ends when the process that launched it does. Knows no run and no store.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Final

from iteralign.errors import IterAlignError
from iteralign.training.fit import fit
from iteralign.training.ranks import work_of

ORPHANED: Final = 75
"""The exit code of a process whose launcher is gone."""


def main(folder: Path) -> int:
    """Train as the folder says. Returns the exit code; what went wrong is left in the folder."""
    rank = int(os.environ["RANK"])
    threading.Thread(target=_end_with_the_launcher, daemon=True).start()
    warnings.filterwarnings("ignore")
    try:
        work, examples = work_of(folder)
        found = fit(work, examples, _warner(folder) if rank == 0 else lambda text: None)
    except IterAlignError as error:
        told = {"kind": type(error).__name__, "message": str(error)}
        # whole or not there: the launcher ends the others once one has failed
        part = folder / f"part-of-error-{rank}"
        part.write_text(json.dumps(told), encoding="utf-8")
        part.replace(folder / f"error-{rank}.json")
        return error.exit_code
    if found is not None:
        (folder / "fitted.json").write_text(json.dumps(asdict(found)), encoding="utf-8")
    return 0


def _warner(folder: Path) -> Callable[[str], None]:
    def warn(text: str) -> None:
        with (folder / "warnings").open("a", encoding="utf-8") as file:
            file.write(json.dumps(text) + "\n")

    return warn


def _end_with_the_launcher() -> None:
    """Wait for the end of the standard input, which is the other process's pipe."""
    while os.read(0, 1024):
        pass
    os._exit(ORPHANED)


if __name__ == "__main__":
    code = main(Path(sys.argv[1]))
    sys.stdout.flush()
    # threads of a process group that another rank left would wait for it
    os._exit(code)
