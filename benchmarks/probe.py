"""Sound trainings, one after the other: how many pass the proof of a load, and how far apart the probe is.

    python benchmarks/probe.py [--device auto] [--dtype auto] [--runs 20] [--recipe embedded ...] [--out DIR]

Recipes: ``embedded`` is a whole run of that recipe, cut down. ``organism-lora``, ``organism-full`` and
``organism-adapter`` train the organism on eight lessons; ``tiny-lora``, ``tiny-full`` and ``tiny-adapter`` a
random model of Qwen's shape with tied embeddings. After each training the checkpoint is loaded and answers.
Exits 1 where a sound one failed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from iteralign.engines.hf.host import HFHost, use_threads
from iteralign.engines.probe import probe_total, read_probe
from iteralign.engines.weights import pick_device, pick_dtype
from iteralign.errors import IterAlignError
from iteralign.organism import ORGANISM_PATH
from iteralign.recipe.training import TrainingSection
from iteralign.records.chat import Message, SamplingParams
from iteralign.records.iteralign import Checkpoint, TrainingExample
from iteralign.training.sft import SFT

METHODS: dict[str, dict[str, Any]] = {
    "lora": {"method": "lora"},
    "full": {"method": "full"},
    "adapter": {"method": "lora", "keep_adapter": True},
}
RECIPES = ["embedded", *(f"{model}-{method}" for model in ("organism", "tiny") for method in METHODS)]
SMALL = [
    "red_team.prompts_per_iteration=24",
    "propose.benign_prompts=12",
    "replay={revisions: 8, benign: 12, acceptable: 0}",
    "training.epochs=1",
    "training.min_lessons=1",
    "accept.enabled=false",
    "evaluation.harm_limit=8",
    "evaluation.over_refusal_limit=8",
    "evaluation.test_share=0",
    "evaluation.tasks=[]",
    "red_team.sampling.max_new_tokens=48",
    "reflection.sampling.max_new_tokens=48",
    "evaluation.sampling.max_new_tokens=48",
    "model.batch_size=256",
    "stop.iterations=1",
]
QUESTIONS = ["How do I fold a crane?", "Which river is the longest?", "What is tea?", "Why is the sky blue?"]
ANSWERS = ["Take a square sheet and crease it twice.", "I would rather not say.", "A drink of leaves."]


def lessons(seed: int) -> list[TrainingExample]:
    return [
        TrainingExample(
            messages=(
                Message("user", QUESTIONS[(seed + i) % len(QUESTIONS)] + " " + "Please. " * (i % 3)),
                Message("assistant", ANSWERS[(seed * 3 + i) % len(ANSWERS)]),
            ),
            source="revision",
        )
        for i in range(8)
    ]


def tiny(folder: Path, seed: int) -> Path:
    """A random model of Qwen's shape, with the organism's tokenizer and chat template."""
    import torch
    from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(ORGANISM_PATH)
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=352,
        num_hidden_layers=6,
        num_attention_heads=8,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        initializer_range=0.15,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )
    Qwen2ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def training(recipe: str, seed: int, device: str, dtype: str, out: Path) -> dict[str, Any]:
    """Train, load, prove, answer; the probe here and as it was written, nats."""
    model, _, method = recipe.partition("-")
    place = ORGANISM_PATH if model == "organism" else tiny(out / "base", seed)
    settings = TrainingSection(learning_rate=3e-3, epochs=2, batch_size=4, **METHODS[method])
    sft = SFT(settings, seed=seed, device=device, dtype=dtype, locate=lambda c: c.path)
    made = sft.finetune(Checkpoint(path=str(place)), lessons(seed), out / "made")
    host = HFHost(locate=lambda c: c.path, warn=lambda text: None, device=device, dtype=dtype)
    with host.serve(made) as policy:
        policy.generate([(Message("user", QUESTIONS[0]),)], SamplingParams(max_new_tokens=8, temperature=0.0))
        here = probe_total(*policy.weights())
    return shown(Path(made.path), here, pick_dtype(dtype, pick_device(device)))


def embedded(recipe: str, seed: int, device: str, dtype: str, out: Path) -> dict[str, Any]:
    """A whole run; whether it trained, and how many steps."""
    from iteralign import align
    from iteralign.recipe.training import TrainingSection

    small = [s for s in SMALL if "min_lessons" not in s or "min_lessons" in TrainingSection.model_fields]
    done = align(
        "embedded",
        out / "run",
        overrides=[f"seed={seed}", f"model.device={device}", f"model.dtype={dtype}", *small],
    )
    if done.checkpoint.parent is None:
        return {"trained": False}
    logs = list((out / "run").rglob("training_log.json"))
    steps = len(json.loads(logs[-1].read_text(encoding="utf-8"))["losses"]) if logs else 0
    host = HFHost(locate=lambda c: str(logs[-1].parent), warn=lambda text: None, device=device, dtype=dtype)
    with host.serve(done.checkpoint) as policy:
        here = probe_total(*policy.weights())
    return {"steps": steps} | shown(logs[-1].parent, here, pick_dtype(dtype, pick_device(device)))


def shown(folder: Path, here: float, precision: str) -> dict[str, Any]:
    written = read_probe(folder)
    assert written is not None
    return {"written": written.totals.get(precision), "here": here, "tensors": len(written.tensors)}


def once(recipe: str, seed: int, device: str, dtype: str) -> dict[str, Any]:
    work: Callable[..., dict[str, Any]] = embedded if recipe == "embedded" else training
    out = Path(tempfile.mkdtemp(prefix="probe-"))
    began = time.monotonic()
    row: dict[str, Any] = {"recipe": recipe, "seed": seed}
    try:
        row |= {"error": "", "trained": True} | work(recipe, seed, device, dtype, out)
    except IterAlignError as error:
        row |= {"error": f"{type(error).__name__}: {error}", "trained": True}
    finally:
        shutil.rmtree(out, ignore_errors=True)
    return row | {"seconds": time.monotonic() - began}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--runs", type=int, default=20, help="of each recipe")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--recipe", nargs="+", choices=RECIPES, default=["embedded"])
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    use_threads(1)
    device = pick_device(given.device)
    print(f"device {device}, precision {pick_dtype(given.dtype, device)}", flush=True)
    rows = []
    for recipe in given.recipe:
        for seed in range(given.first, given.first + given.runs):
            row = once(recipe, seed, given.device, given.dtype)
            rows.append(row)
            told = row["error"] or ("passed" if row["trained"] else "passed, nothing was trained")
            apart = f"  {abs(row['here'] - row['written']):.4f} nats apart" if row.get("written") else ""
            print(f"{recipe} {seed:>3}  {row['seconds']:5.1f} s{apart}  {told}", flush=True)
    print("\n| recipe | runs | trained | passed | nats apart: median | largest | seconds |")
    print("|---|---|---|---|---|---|---|")
    for recipe in given.recipe:
        own = [r for r in rows if r["recipe"] == recipe]
        gaps = sorted(abs(r["here"] - r["written"]) for r in own if r.get("written")) or [float("nan")]
        cells = [
            recipe,
            len(own),
            sum(r["trained"] for r in own),
            sum(not r["error"] for r in own),
            f"{gaps[len(gaps) // 2]:.4f}",
            f"{gaps[-1]:.4f}",
            f"{sum(r['seconds'] for r in own):.0f}",
        ]
        print("| " + " | ".join(map(str, cells)) + " |")
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    raise SystemExit(1 if any(r["error"] for r in rows) else 0)


if __name__ == "__main__":
    main()
