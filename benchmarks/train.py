"""Fine-tuning on one GPU: TFLOP/s and peak memory at the shape of Llama-2-7B, and loss curves of each mode.

`speed`: random weights, 8 x 1,024 tokens, every mode of `training.weights`, `optimizer` and
`activation_checkpointing` beside a plain loop with bfloat16 weights and fused AdamW, one after the other in
one process. TFLOP/s are 6 x weights x tokens / seconds, as papers count, whatever was computed.
`curves`: a small model, the same rows in the same order, 300 steps in each mode; the loss of held-out rows.

    python benchmarks/train.py speed --json speed.json
    python benchmarks/train.py curves --model DIR --text docs/*.md --json curves.json
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from iteralign.recipe.training import TrainingSection
from iteralign.training.fit import Work, run, trainer_of
from iteralign.training.process_group import join

LLAMA_7B = {
    "vocab_size": 32_000,
    "hidden_size": 4096,
    "intermediate_size": 11_008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
}
BATCH = 8
LENGTH = 1024
STEPS = 6
WARM = 2
"""Steps before the clock runs: kernels are chosen and compiled, moments made."""
NARROW = {"weights": "bfloat16", "optimizer": "adamw-8bit"}
SELECTIVE = {"activation_checkpointing": "selective"}
SPEED: dict[str, dict[str, Any]] = {
    "full, bf16, 8-bit, selective": NARROW | SELECTIVE,
    "lora, selective": {"method": "lora"} | SELECTIVE,
    "full, float32, 8-bit": {"optimizer": "adamw-8bit"},
    "full, bf16, 8-bit": NARROW,
    "lora": {"method": "lora"},
    "lora, none": {"method": "lora", "activation_checkpointing": "none"},
    "full, float32": {},
}
CURVES: dict[str, dict[str, Any]] = {
    "float32, adamw": {},
    "float32, adamw-8bit": {"optimizer": "adamw-8bit"},
    "bfloat16, adamw-8bit": NARROW,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["speed", "curves"])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seconds", type=float, default=3600, help="no case begins later than this")
    parser.add_argument("--layers", type=int, help="speed: fewer layers, to try it out")
    parser.add_argument("--small", action="store_true", help="speed: a tiny shape on the CPU, to try it out")
    parser.add_argument("--only", nargs="*", help="speed: these cases")
    parser.add_argument("--gpus", type=int, help="speed: under torchrun, 8 rows a GPU")
    parser.add_argument("--model", type=Path, help="curves: a folder")
    parser.add_argument("--text", type=Path, nargs="*", default=[], help="curves: files to learn")
    parser.add_argument("--length", type=int, default=128, help="curves: tokens a row")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--learning-rate", type=float, default=2e-5)
    given = parser.parse_args()
    quiet()
    found = speed(given) if given.what == "speed" else curves(given)
    if given.json:
        given.json.write_text(json.dumps(here() | {given.what: found}, indent=1), encoding="utf-8")


def here() -> dict[str, Any]:
    """Card, versions and date."""
    import torch

    names = ("torch", "transformers", "trl", "peft", "torchao")
    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor()
    return {"card": card, "date": time.strftime("%Y-%m-%d"), "versions": versions}


def quiet() -> None:
    """No bars, no advice."""
    import warnings

    import datasets

    from iteralign.engines.weights import quiet as ours

    ours()
    datasets.disable_progress_bars()
    warnings.filterwarnings("ignore")


def speed(given: argparse.Namespace) -> list[dict[str, Any]]:
    began = time.monotonic()
    shape = dict(LLAMA_7B)
    if given.layers:
        shape["num_hidden_layers"] = given.layers
    if given.small:
        shape |= {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "vocab_size": 512}
        shape |= {"num_attention_heads": 4, "num_key_value_heads": 4}
    cases: list[tuple[str, Callable[[], dict[str, Any]]]] = [
        (name, lambda s=settings: ours(shape, s, given.gpus or 1)) for name, settings in SPEED.items()
    ]
    cases.insert(1, ("plain loop, bf16, fused adamw", lambda: plain(shape)))
    found = []
    if given.only:
        cases = sorted((c for c in cases if c[0] in given.only), key=lambda c: given.only.index(c[0]))
    for name, case in cases:
        if time.monotonic() - began > given.seconds:
            found.append({"case": name, "left out": "no time"})
            continue
        try:
            found.append({"case": name} | case())
        except Exception as error:  # noqa: BLE001  # the other cases still tell something
            found.append({"case": name, "error": f"{type(error).__name__}: {str(error)[:300]}"})
        clear()
        print(json.dumps(found[-1]), f"{time.monotonic() - began:.0f} s", flush=True)
    return found


def ours(shape: dict[str, Any], changes: dict[str, Any], gpus: int) -> dict[str, Any]:
    """Our trainer on random weights and random rows."""
    from datasets import Dataset
    from transformers import TrainerCallback

    if gpus > 1:
        changes = changes | {"gpus": gpus}
    settings = TrainingSection(batch_size=BATCH * gpus, max_length=LENGTH, learning_rate=1e-5, **changes)
    device = place()
    if gpus > 1:
        join(settings, device)
    model = random_model(shape, settings.held_in if settings.method == "full" else "bfloat16")
    parameters = sum(p.numel() for p in model.parameters())
    rows = random_rows(shape["vocab_size"], BATCH * gpus * STEPS)
    data = Dataset.from_list([{"input_ids": r, "labels": r} for r in rows])
    at: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
            wait()
            at.append(time.perf_counter())

        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            wait()
            at.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        work = Work(
            settings=settings.model_copy(update={"epochs": 1}),
            seed=0,
            device=device,
            dtype="bfloat16",
            template=None,
            place=folder,
            out=Path(folder),
            attempt="",
        )
        trainer = trainer_of(
            work, model, tokenizer(shape["vocab_size"]), data, device=device, precision="bfloat16"
        )
        trainer.add_callback(Clock())
        forget_peak()
        run(trainer, settings, device, None)
    losses = [h["loss"] for h in trainer.state.log_history if "loss" in h]
    return figures(parameters, [b - a for a, b in zip(at[::2], at[1::2], strict=True)], losses, gpus)


def plain(shape: dict[str, Any]) -> dict[str, Any]:
    """What one writes by hand: bfloat16 weights, fused AdamW, checkpointing, clipping."""
    import torch

    model = random_model(shape, "bfloat16").train()
    parameters = sum(p.numel() for p in model.parameters())
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    rows = torch.tensor(random_rows(shape["vocab_size"], BATCH * STEPS), device=place())
    forget_peak()
    seconds = []
    losses = []
    for batch in rows.split(BATCH):
        wait()
        began = time.perf_counter()
        loss = model(input_ids=batch, labels=batch, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
        wait()
        seconds.append(time.perf_counter() - began)
    return figures(parameters, seconds, losses)


def figures(parameters: int, seconds: list[float], losses: list[float], gpus: int = 1) -> dict[str, Any]:
    """TFLOP/s of each GPU, the peak of the first, and what they are made of."""
    import torch

    each = sorted(seconds[WARM:])[len(seconds[WARM:]) // 2]
    peaks = {}
    if torch.cuda.is_available():
        peaks = {
            "peak_gb": round(torch.cuda.max_memory_allocated() / 1e9, 1),
            "reserved_gb": round(torch.cuda.max_memory_reserved() / 1e9, 1),
        }
    return {
        "tflops": round(6 * parameters * BATCH * LENGTH / each / 1e12, 1),
        **peaks,
        "seconds": [round(s, 3) for s in seconds],
        "loss": [round(x, 3) for x in losses],
    }


def curves(given: argparse.Namespace) -> dict[str, Any]:
    """The same rows in the same order, in each mode."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer

    device = place()
    text = "\n".join(p.read_text(encoding="utf-8") for p in given.text)
    learner = AutoTokenizer.from_pretrained(given.model)
    ids = learner(text)["input_ids"]
    long = given.length
    parts = [ids[i : i + long] for i in range(0, len(ids) - long, long)]
    held_out = torch.tensor(parts[::8][:64], device=device)
    rows = [p for i, p in enumerate(parts) if i % 8]
    rows = (rows * (given.steps * BATCH // len(rows) + 1))[: given.steps * BATCH]
    data = Dataset.from_list([{"input_ids": r, "labels": r} for r in rows])
    found: dict[str, Any] = {"rows": len(rows), "distinct": min(len(rows), len(parts) * 7 // 8)}
    for name, changes in CURVES.items():
        settings = TrainingSection(
            batch_size=BATCH, max_length=LENGTH, epochs=1, learning_rate=given.learning_rate, **changes
        )
        model = AutoModelForCausalLM.from_pretrained(given.model, dtype=getattr(torch, settings.held_in))
        precision = "bfloat16" if device == "cuda" else "float32"
        with tempfile.TemporaryDirectory() as folder:
            work = Work(
                settings=settings,
                seed=0,
                device=device,
                dtype=precision,
                template=None,
                place=folder,
                out=Path(folder),
                attempt="",
            )
            trainer = trainer_of(work, model, learner, data, device=device, precision=precision)
            before = measured(trainer.model, held_out)
            run(trainer, settings, device, None)
        losses = [h["loss"] for h in trainer.state.log_history if "loss" in h]
        found[name] = {
            "before": before,
            "after": measured(trainer.model, held_out),
            "last_30": sum(losses[-30:]) / 30,
            "losses": [round(x, 4) for x in losses],
        }
        print(name, {k: v for k, v in found[name].items() if k != "losses"}, flush=True)
        del trainer, model
        clear()
    return found


def measured(model: Any, rows: Any) -> float:
    """Mean loss of held-out rows, nats a token, in the arithmetic of the weights."""
    import torch

    model = model.to(rows.device).eval()
    with torch.inference_mode():
        losses = [model(input_ids=b, labels=b, use_cache=False).loss.float() for b in rows.split(BATCH)]
    model.train()
    return float(torch.stack(losses).mean())


def random_model(shape: dict[str, Any], precision: str) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(**shape, max_position_embeddings=4096, tie_word_embeddings=False)
    torch.manual_seed(0)
    with torch.device(place()):
        return LlamaForCausalLM._from_config(config, dtype=getattr(torch, precision))


def random_rows(vocabulary: int, count: int) -> list[list[int]]:
    import torch

    chosen = torch.randint(3, vocabulary, (count, LENGTH), generator=torch.Generator().manual_seed(0))
    return [list(map(int, r)) for r in chosen.tolist()]


def tokenizer(vocabulary: int) -> Any:
    """One word for each id: the trainer asks for its special tokens alone."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    words = {"<unk>": 0, "<s>": 1, "</s>": 2} | {f"w{i}": i for i in range(3, vocabulary)}
    whole = Tokenizer(WordLevel(words, unk_token="<unk>"))
    return PreTrainedTokenizerFast(
        tokenizer_object=whole, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )


def place() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def wait() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def forget_peak() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def clear() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
