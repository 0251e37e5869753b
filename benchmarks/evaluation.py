"""TruthfulQA MC1 and MC2 by iteralign and by lm-eval in one run: seconds, and the numbers.

    python benchmarks/evaluation.py --data DIR [--limit N] [--batch 64]

DIR holds truthfulqa/mc_task_v1_817.json. Model, questions, machine and batch size are the same. Model loading
and imports are left out on both sides; each side tokenizes, computes and counts.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}

    import lm_eval
    import torch
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    from iteralign.build.evaluations_lm_eval import write_lm_eval
    from iteralign.build.tasks import chosen
    from iteralign.engines.hf.host import HFHost
    from iteralign.evals import truthfulqa
    from iteralign.organism import ORGANISM_PATH
    from iteralign.records.iteralign import Checkpoint
    from iteralign.store.run import Run

    torch.set_num_threads(given.threads)
    path = given.data / "truthfulqa" / "mc_task_v1_817.json"
    items = truthfulqa.load(path)[: given.limit]
    with tempfile.TemporaryDirectory() as folder:
        write_lm_eval(chosen(["truthfulqa-mc1", "truthfulqa-mc2"]), None, {"truthfulqa": path}, Path(folder))
        lm = HFLM(pretrained=str(ORGANISM_PATH), dtype="float32", device="cpu", batch_size=given.batch)
        tasks = TaskManager(include_path=folder)
        names = ["iteralign_truthfulqa_mc1", "iteralign_truthfulqa_mc2"]
        lm_eval.simple_evaluate(
            model=lm,
            tasks=names[:1],
            task_manager=tasks,
            apply_chat_template=True,
            limit=2,
            bootstrap_iters=0,
        )  # warm
        started = time.perf_counter()
        theirs = lm_eval.simple_evaluate(
            model=lm,
            tasks=names,
            task_manager=tasks,
            apply_chat_template=True,
            limit=given.limit,
            bootstrap_iters=0,
            log_samples=False,
        )["results"]
        lm_seconds = time.perf_counter() - started

        host = HFHost(
            device="cpu", dtype="float32", batch_size=given.batch, locate=lambda c: c.path, warn=print
        )
        checkpoint = Checkpoint(path=str(ORGANISM_PATH))
        host.load(checkpoint)
        with Run.create(Path(folder) / "run", {}, "") as run, host.serve(checkpoint) as policy:
            started = time.perf_counter()
            ours = {
                mode: truthfulqa.TruthfulQA(items, mode, {}).run(policy, run.scope("x")).main.value
                for mode in ("mc1", "mc2")
            }
            our_seconds = time.perf_counter() - started
    print(f"{len(items)} questions, batch {given.batch}, {given.threads} thread(s)")
    print("| | seconds | MC1 | MC2 |\n|---|---|---|---|")
    print(
        f"| lm-eval | {lm_seconds:.1f} | {theirs[names[0]]['acc,none']:.6f} "
        f"| {theirs[names[1]]['mc2,none']:.6f} |"
    )
    print(f"| iteralign | {our_seconds:.1f} | {ours['mc1']:.6f} | {ours['mc2']:.6f} |")
    print(f"ratio {lm_seconds / our_seconds:.2f}")


if __name__ == "__main__":
    main()
