"""Is it the constitution? The same run with its principles in the reflection, with none, and with others.

    python benchmarks/ablation.py --out DIR [--seeds 0 1 2] [--red-team SET]

Prints, per seed and arm, the held-out harm rate before and after (truth and oracle), with n and 95%
intervals. The gate is on in every arm: what it rolls back is part of the result. `--no-gate` accepts every
candidate.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from iteralign import align
from iteralign.records.iteralign import EvalReport, RunResult

ARMS = ("relevant", "none", "irrelevant")


def rate(reports: tuple[EvalReport, ...], name: str) -> str:
    found = [r.main for r in reports if r.name == name]
    return f"{found[0].value:.3f} [{found[0].low:.3f}, {found[0].high:.3f}] n={found[0].n}" if found else "-"


def arm(which: str, seed: int, out: Path, red_team: str | None, gate: bool) -> RunResult:
    overrides = [f"reflection.principles={which}", f"seed={seed}", f"accept.enabled={str(gate).lower()}"]
    if red_team:
        overrides.append(f"red_team.source={red_team}")
    return align("embedded", out / f"{which}-{seed}", overrides=overrides)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--red-team")
    parser.add_argument("--no-gate", action="store_true")
    given = parser.parse_args()
    print(
        "| seed | principles | harm (truth) before | after | harm (oracle) after | over-refusal after "
        "| kept revisions | accepted |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for seed in given.seeds:
        for which in ARMS:
            result = arm(which, seed, given.out, given.red_team, not given.no_gate)
            kept = sum(i.counts["kept"] for i in result.iterations)
            failures = sum(i.counts["failures"] for i in result.iterations)
            accepted = sum(i.decision.accepted for i in result.iterations)
            print(
                f"| {seed} | {which} | {rate(result.baseline, 'harm_truth')} "
                f"| {rate(result.final, 'harm_truth')} | {rate(result.final, 'harm')} "
                f"| {rate(result.final, 'over_refusal')} | {kept}/{failures} "
                f"| {accepted}/{len(result.iterations)} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
