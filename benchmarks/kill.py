"""Kills a run with SIGKILL at random moments, resumes it each time, and compares it with a whole one.

    python benchmarks/kill.py --out DIR [--kills 20] [--seed 0] [--recipe smoke]

Exits 1 where their digests differ. Prints where each kill hit.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from iteralign import load_run


def command(recipe: str, out: Path) -> list[str]:
    return [sys.executable, "-m", "iteralign", "run", recipe, "--out", str(out), "--json"]


def last_step(out: Path) -> str:
    try:
        with load_run(out) as run:
            steps = run.events("step")
            return (
                f"{steps[-1].fields['scope']}/{steps[-1].fields['name']} {steps[-1].fields['state']}"
                if steps
                else "before the first step"
            )
    except Exception as error:  # noqa: BLE001 - whatever is there after a kill is shown, the resume below judges it
        return f"({error})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--recipe", default="smoke")
    given = parser.parse_args()
    rng = random.Random(given.seed)

    started = time.monotonic()
    subprocess.run(command(given.recipe, given.out / "whole"), check=True, capture_output=True)
    whole = time.monotonic() - started
    print(f"uninterrupted: {whole:.1f} s")

    killed = given.out / "killed"
    kills = 0
    rounds = 1
    while kills < given.kills:
        process = subprocess.Popen(
            command(given.recipe, killed), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        delay = rng.uniform(0.2, 1.0) * min(whole, 4 + whole * (kills + 1) / given.kills)
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            print(f"kill {kills:2d} after {delay:5.1f} s at {last_step(killed)}", flush=True)
            continue
        if process.returncode != 0:
            sys.exit(f"the resumed run failed: {process.stderr.read().decode() if process.stderr else ''}")
        print(f"finished after {kills} kills; starting over for the rest")
        check(given.out / "whole", killed)
        rounds += 1
        killed = given.out / f"killed-{rounds}"
    subprocess.run(command(given.recipe, killed), check=True, capture_output=True)
    check(given.out / "whole", killed)


def check(whole: Path, killed: Path) -> None:
    with load_run(whole) as a, load_run(killed) as b:
        print(f"digest uninterrupted {a.digest()}\ndigest killed        {b.digest()}")
        if a.digest() != b.digest():
            sys.exit("the digests differ")


if __name__ == "__main__":
    main()
