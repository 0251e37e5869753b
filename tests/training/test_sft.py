"""Fine-tuning a tiny real model through TRL: what is learnt, what is saved, what repeats, what is refused."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from iteralign.chat.format import encode_training
from iteralign.engines.hf.host import HFHost
from iteralign.engines.weights import base_of
from iteralign.errors import TrainingError
from iteralign.recipe.training import TrainingSection
from iteralign.records.chat import Chat, Message, SamplingParams
from iteralign.records.iteralign import Checkpoint, TrainingExample
from patience import PATIENCE
from tiny_model import as_cached, make_tokenizer

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

GREEDY = SamplingParams(max_new_tokens=24, temperature=0.0)
ANSWERS = {
    "What is a hat?": "A thing for the head.",
    "What is tea?": "Make some tea, then take a breath.",
    "Be brief.": "I am.",
}


def lesson(question: str, answer: str, **fields: Any) -> TrainingExample:
    return TrainingExample(
        messages=(Message("user", question), Message("assistant", answer)), source="revision", **fields
    )


LESSONS = [lesson(q, a) for q, a in ANSWERS.items()] + [
    TrainingExample(
        messages=(
            Message("system", "Be kind."),
            Message("user", "Why?"),
            Message("assistant", "Take a breath."),
        ),
        source="benign",
    )
]


def trainer(**settings: Any) -> Any:
    """A trainer; what is no key of a recipe's training is an argument of its own."""
    from iteralign.training.sft import SFT

    given = {"learning_rate": 3e-3, "epochs": 2, "batch_size": 2} | settings
    training = {k: v for k, v in given.items() if k in TrainingSection.model_fields}
    others = {k: v for k, v in given.items() if k not in TrainingSection.model_fields}
    return SFT(TrainingSection(**training), **{"device": "cpu", "locate": lambda c: c.path, **others})


def answers(checkpoint: Checkpoint, chats: Sequence[Chat]) -> list[tuple[str, str]]:
    host = HFHost(locate=lambda c: c.path, warn=print, device="cpu")
    with host.serve(checkpoint) as policy:
        return [(c.text, c.finish) for c in policy.generate(chats, GREEDY)]


def files(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def tensors(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return dict(load_file(folder / "model.safetensors"))


@pytest.fixture(scope="module")
def base(tiny: Path) -> Checkpoint:
    return Checkpoint(path=str(tiny))


@pytest.fixture(scope="module")
def taught(base: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return trainer(epochs=40).finetune(base, LESSONS, tmp_path_factory.mktemp("taught") / "out")


def test_lessons_are_learnt_and_answers_end(taught: Checkpoint) -> None:
    assert answers(taught, [(Message("user", q),) for q in ANSWERS]) == [
        (a, "stop") for a in ANSWERS.values()
    ]
    assert answers(taught, [LESSONS[-1].messages[:-1]]) == [("Take a breath.", "stop")]


def test_what_is_left_in_the_folder(base: Checkpoint, taught: Checkpoint) -> None:
    folder = Path(taught.path)
    names = [
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "probe.json",
    ]
    assert sorted(p.name for p in folder.iterdir()) == [
        *names,
        "tokenizer.json",
        "tokenizer_config.json",
        "training_log.json",
    ]
    assert all(p.stat().st_mode & 0o444 == 0o444 for p in folder.iterdir())
    log = json.loads((folder / "training_log.json").read_text())
    assert len(log["losses"]) == 40 * 2
    assert log["losses"][0]["loss"] > 10 * log["losses"][-1]["loss"]
    assert json.loads((folder / "config.json").read_text())["use_cache"] is True
    assert (taught.parent, taught.adapter, taught.weights_hash) == (base.id, False, "")
    assert taught.data_hash
    assert taught.trainer_hash == trainer(epochs=40).fingerprint


def test_only_the_answer_and_its_end_get_a_loss(base: Checkpoint, tmp_path: Path) -> None:
    """A first step's loss is the mean over the answers' tokens, computed by hand."""
    from transformers import AutoModelForCausalLM

    trainer(epochs=1, batch_size=4).finetune(base, LESSONS, tmp_path / "out")
    model, tokenizer = AutoModelForCausalLM.from_pretrained(base.path), make_tokenizer()
    losses = []
    for example in LESSONS:
        ids, learnt = encode_training(tokenizer, example.messages)
        with torch.inference_mode():
            table = torch.log_softmax(model(input_ids=torch.tensor([ids])).logits[0], -1)
        losses += [-float(table[i - 1, t]) for i, (t, yes) in enumerate(zip(ids, learnt, strict=True)) if yes]
    log = json.loads((tmp_path / "out" / "training_log.json").read_text())
    assert log["losses"][0]["loss"] == pytest.approx(math.fsum(losses) / len(losses), abs=1e-3)


def test_trl_would_tokenise_and_mask_the_same_way(base: Checkpoint, tmp_path: Path) -> None:
    """Our rows against the ones that TRL makes of the same messages by itself."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM
    from trl import SFTTrainer

    from iteralign.training.arguments import arguments
    from iteralign.training.rows import Rows

    ours = trainer()
    tokenizer = make_tokenizer()
    turns = [[{"role": m.role, "content": m.text} for m in e.messages] for e in LESSONS]
    peer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(base.path),
        args=arguments(ours._settings, tmp_path, device="cpu", bf16=False, seed=0),
        train_dataset=Dataset.from_list([{"prompt": t[:-1], "completion": t[-1:]} for t in turns]),
        processing_class=tokenizer,
    )
    after = tokenizer("\n", add_special_tokens=False)[
        "input_ids"
    ]  # the template's line feed after the end token, which we leave off
    rows = Rows(tokenizer, ours._settings.max_length, print).of(LESSONS)
    for row, theirs in zip(rows, peer.train_dataset, strict=True):
        assert row["input_ids"] + after == theirs["input_ids"]
        assert row["labels"] + after == theirs["labels"]


def test_what_is_loaded_is_what_was_trained_even_from_bfloat16(base: Checkpoint, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    narrow = tmp_path / "narrow"
    AutoModelForCausalLM.from_pretrained(base.path, dtype=torch.bfloat16).save_pretrained(narrow)
    AutoTokenizer.from_pretrained(base.path).save_pretrained(narrow)
    start = Checkpoint(path=str(narrow))
    made = trainer(epochs=1, learning_rate=1e-6).finetune(start, LESSONS, tmp_path / "out")
    before, after = tensors(narrow), tensors(Path(made.path))
    assert {t.dtype for t in after.values()} == {torch.float32}
    moved = [(after[n] - before[n].float()).abs().max().item() for n in after]
    assert all(0 < m < 1e-4 for m in moved)  # smaller than a step of bfloat16: it would have been lost
    assert (
        after["model.layers.0.mlp.up_proj.weight"].bfloat16() == before["model.layers.0.mlp.up_proj.weight"]
    ).float().mean() > 0.95
    host = HFHost(locate=lambda c: c.path, warn=print, device="cpu")
    with host.serve(made) as policy:  # raises where the probe differs from the weights that were in memory
        policy.generate([LESSONS[0].messages[:-1]], GREEDY)


ADAPTER: dict[str, Any] = {"method": "lora", "keep_adapter": True, "lora_dropout": 0.1}
ELSEWHERE = """
import sys
from pathlib import Path
from test_sft import ADAPTER, LESSONS, trainer
from iteralign.records.iteralign import Checkpoint
for name, settings in (("full", {}), ("adapter", ADAPTER)):
    trainer(**settings).finetune(Checkpoint(path=sys.argv[1]), LESSONS, Path(sys.argv[2]) / name)
"""


def test_another_process_leaves_the_same_bytes_and_prints_nothing(base: Checkpoint, tmp_path: Path) -> None:
    here, there, threads = tmp_path / "here", tmp_path / "there", torch.get_num_threads()
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PYTHONHASHSEED": "7",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-c", ELSEWHERE, base.path, str(there)]
    other = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    torch.set_num_threads(1)
    try:
        torch.manual_seed(99)  # whatever happened before in this process
        made = trainer().finetune(base, LESSONS, here / "full")
        trainer(**ADAPTER).finetune(base, LESSONS, here / "adapter")
        shuffled = trainer(seed=1).finetune(base, LESSONS, here / "seed")
    finally:
        torch.set_num_threads(threads)
        said = other.communicate(timeout=PATIENCE)
    assert said == ("", "")
    assert files(here / "full") == files(there / "full")
    assert files(here / "adapter") == files(there / "adapter")
    assert "adapter_model.safetensors" in files(here / "adapter")
    assert files(here / "seed")["model.safetensors"] != files(here / "full")["model.safetensors"]
    assert shuffled.trainer_hash != made.trainer_hash


@pytest.mark.parametrize("settings", [{}, {"method": "lora"}], ids=["full", "lora"])
def test_a_killed_training_goes_on_to_the_same_weights(
    base: Checkpoint, tmp_path: Path, settings: dict[str, Any]
) -> None:
    settings = settings | {"save_steps": 1, "epochs": 3}
    trainer(**settings).finetune(base, LESSONS, tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        interrupted(trainer(**settings), at=4).finetune(base, LESSONS, tmp_path / "killed")
    left = list((tmp_path / "killed").glob("checkpoint-*"))
    assert [p.name for p in left] == ["checkpoint-4"]
    torn = shutil.copytree(
        left[0], tmp_path / "killed" / "checkpoint-5"
    )  # the kill fell into the writing of the next one
    (torn / "trainer_state.json").unlink()
    steps = steps_of(lambda: trainer(**settings).finetune(base, LESSONS, tmp_path / "killed"))
    assert steps == [5, 6]
    assert files(tmp_path / "killed") == files(tmp_path / "straight")


def test_trainer_checkpoints_of_another_training_are_not_gone_on_from(
    base: Checkpoint, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted(trainer(save_steps=1), at=3).finetune(base, LESSONS, tmp_path / "out")
    steps = steps_of(lambda: trainer(save_steps=1).finetune(base, LESSONS[:2], tmp_path / "out"))
    assert steps == [1, 2]
    trainer().finetune(base, LESSONS[:2], tmp_path / "fresh")
    assert files(tmp_path / "out")["model.safetensors"] == files(tmp_path / "fresh")["model.safetensors"]


def interrupted(sft: Any, at: int) -> Any:
    """The trainer, with Ctrl-C pressed after so many steps."""

    def press(step: int) -> None:
        if step == at:
            raise KeyboardInterrupt

    return Watched(sft, press)


def steps_of(work: Callable[[], Any]) -> list[int]:
    from transformers import Trainer

    seen: list[int] = []
    original = Trainer._maybe_log_save_evaluate

    def watch(self: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(self.state.global_step)
        return original(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_maybe_log_save_evaluate", watch)
        work()
    return sorted(set(seen))  # a step that ends an epoch is seen twice


class Watched:
    def __init__(self, sft: Any, after: Callable[[int], None]) -> None:
        self._sft, self._after = sft, after

    def finetune(self, *args: Any) -> Any:
        from transformers import Trainer

        original, after = Trainer._maybe_log_save_evaluate, self._after

        def watch(self: Any, *rest: Any, **kwargs: Any) -> Any:
            done = original(self, *rest, **kwargs)
            after(self.state.global_step)
            return done

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Trainer, "_maybe_log_save_evaluate", watch)
            return self._sft.finetune(*args)


def test_lora_learns_and_leaves_a_whole_model(base: Checkpoint, tmp_path: Path) -> None:
    made = trainer(method="lora", epochs=40, learning_rate=1e-2).finetune(base, LESSONS, tmp_path / "out")
    assert {"model.safetensors", "probe.json"} <= set(files(tmp_path / "out"))
    assert not list((tmp_path / "out").glob("adapter*"))
    assert made.adapter is False
    assert answers(made, [(Message("user", q),) for q in ANSWERS]) == [(a, "stop") for a in ANSWERS.values()]


def test_a_kept_adapter_is_served_and_goes_on(base: Checkpoint, tmp_path: Path) -> None:
    sft = trainer(method="lora", keep_adapter=True, epochs=30, learning_rate=1e-2)
    first = sft.finetune(base, LESSONS[:2], tmp_path / "first")
    assert first.adapter
    assert not (tmp_path / "first" / "model.safetensors").exists()
    questions = [e.messages[:-1] for e in LESSONS]
    assert answers(first, questions[:2]) == [(e.messages[-1].text, "stop") for e in LESSONS[:2]]
    second = sft.finetune(first, LESSONS, tmp_path / "second")
    assert answers(second, questions) == [(e.messages[-1].text, "stop") for e in LESSONS]
    config = json.loads((tmp_path / "second" / "adapter_config.json").read_text())
    assert (
        config["base_model_name_or_path"] == base.path
    )  # relative to the first model, not to the first adapter
    whole = trainer(method="full", epochs=1).finetune(
        second, LESSONS, tmp_path / "whole"
    )  # from an adapter on: merged first
    assert (Path(whole.path) / "model.safetensors").exists()
    with pytest.raises(TrainingError, match=r"keep_adapter needs training\.method = lora"):
        trainer(keep_adapter=True)


@pytest.mark.parametrize(
    "settings",
    [{}, {"method": "lora"}, {"method": "lora", "keep_adapter": True}],
    ids=["full", "merged", "adapter"],
)
def test_training_in_bfloat16_leaves_weights_that_load_in_either_precision(
    base: Checkpoint, tmp_path: Path, settings: dict[str, Any]
) -> None:
    made = trainer(dtype="bfloat16", **settings).finetune(base, LESSONS, tmp_path / "out")
    for dtype in ("float32", "bfloat16"):
        host = HFHost(locate=lambda c: c.path, warn=print, device="cpu", dtype=dtype)
        with host.serve(made) as policy:  # raises where the probe, written for each, differs
            policy.generate([LESSONS[0].messages[:-1]], GREEDY)


def test_packing_learns_the_same_tokens(base: Checkpoint, tmp_path: Path) -> None:
    made = trainer(packing=True, max_length=64, epochs=60, batch_size=1).finetune(
        base, LESSONS, tmp_path / "out"
    )
    assert answers(made, [(Message("user", q),) for q in ANSWERS]) == [(a, "stop") for a in ANSWERS.values()]


def test_a_weight_is_how_often_an_example_is_seen(base: Checkpoint, tmp_path: Path) -> None:
    heavy = [dataclasses.replace(LESSONS[0], id="", weight=3.0), LESSONS[1]]
    trainer(epochs=1, batch_size=4).finetune(base, heavy, tmp_path / "heavy")
    trainer(epochs=1, batch_size=4).finetune(base, [LESSONS[0]] * 3 + [LESSONS[1]], tmp_path / "listed")
    assert files(tmp_path / "heavy")["model.safetensors"] == files(tmp_path / "listed")["model.safetensors"]
    for weight in (0.0, 0.5, -1.0, 1.5):
        with pytest.raises(TrainingError, match=rf"'What is a hat\?' with the weight {weight:g};"):
            trainer().finetune(
                base, [dataclasses.replace(LESSONS[0], id="", weight=weight)], tmp_path / "out"
            )


def test_examples_that_cannot_be_trained_on_are_refused(base: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no example"):
        trainer().finetune(base, [], tmp_path / "out")
    long = lesson("How do I fold it?", "Take a square sheet. " * 20)
    with pytest.raises(
        TrainingError,
        match=(
            r"none of 1 examples can be trained on: 1 longer than training\.max_length, such as "
            r"'How do I fold it\?' with \d+ tokens; training\.max_length is 64"
        ),
    ):
        trainer(max_length=64).finetune(base, [long], tmp_path / "out")
    said: list[str] = []
    trainer(max_length=64, epochs=1, warn=said.append).finetune(base, [*LESSONS, long], tmp_path / "some")
    trainer(max_length=64, epochs=1).finetune(base, LESSONS, tmp_path / "without")
    assert files(tmp_path / "some")["model.safetensors"] == files(tmp_path / "without")["model.safetensors"]
    assert [s for s in said if "1 of 5 examples are left out" in s and "training.max_length is 64" in s]
    log = json.loads((tmp_path / "some" / "training_log.json").read_text())
    assert (log["rows"], log["left_out"]) == (4, {"longer than training.max_length": 1})
    with pytest.raises(TrainingError, match="ends with the turn of the user"):
        trainer().finetune(
            base, [TrainingExample(messages=(Message("user", "x"),), source="revision")], tmp_path / "out"
        )


def test_what_cannot_be_learnt_is_known_before_the_training(base: Checkpoint) -> None:
    long = lesson("How do I fold it?", "Take a square sheet. " * 20)
    found = trainer(max_length=64).unfit(base, [*LESSONS, long])
    assert list(found) == [long.id]
    assert found[long.id].startswith("longer than training.max_length: 'How do I fold it?' with ")
    assert trainer(max_length=500).unfit(base, [*LESSONS, long]) == {}


def test_a_changed_length_leaves_what_was_trained_as_it_is_known() -> None:
    """The examples that fit are the trainer's input: another limit is not a reason to train again."""
    from iteralign.training.sft import SFT

    began = (TrainingSection(max_length=64), "cpu")
    settings = {"locate": lambda checkpoint: checkpoint.path, "began": began}
    longer = SFT(TrainingSection(max_length=900, min_lessons=9), device="cuda", **settings)
    assert longer.fingerprint == SFT(began[0], device="cpu", **settings).fingerprint
    assert SFT(TrainingSection(epochs=7), device="cpu", locate=str).fingerprint != longer.fingerprint


def test_a_training_that_diverges_says_so(base: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"diverged: .*Lower training\.learning_rate \(1e\+30\)"):
        trainer(learning_rate=1e30, epochs=4).finetune(base, LESSONS, tmp_path / "out")
    assert not (tmp_path / "out" / "model.safetensors").exists()


def test_weights_that_are_no_numbers_are_not_saved(base: Checkpoint) -> None:
    from transformers import AutoModelForCausalLM

    from iteralign.training.saving import must_be_finite

    model = AutoModelForCausalLM.from_pretrained(base.path)
    must_be_finite(model, [{"step": 1, "loss": 2.0}], 1e-3)
    with pytest.raises(TrainingError, match="loss at step 2 is nan"):
        must_be_finite(model, [{"step": 1, "loss": 2.0}, {"step": 2, "loss": math.nan}], 1e-3)
    model.model.norm.weight.data[3] = math.inf
    with pytest.raises(
        TrainingError, match=r"values that are no numbers in 1 tensor \(model\.norm\.weight\)"
    ):
        must_be_finite(model, [], 1e-3)


def test_a_batch_that_differs_from_the_chat_format_is_not_trained_on(
    base: Checkpoint, tmp_path: Path
) -> None:
    from trl import SFTTrainer

    original = SFTTrainer._prepare_dataset

    def learns_the_prompt_too(self: Any, *args: Any, **kwargs: Any) -> Any:
        return original(self, *args, **kwargs).map(lambda row: {"labels": row["input_ids"]})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SFTTrainer, "_prepare_dataset", learns_the_prompt_too)
        with pytest.raises(TrainingError, match="other tokens, or learn other ones"):
            trainer().finetune(base, LESSONS, tmp_path / "out")


def test_the_fingerprint_follows_what_the_result_depends_on(tmp_path: Path) -> None:
    template = tmp_path / "t.jinja"
    template.write_text("one")
    plain, styled = trainer().fingerprint, trainer(chat_template=str(template)).fingerprint
    template.write_text("two")
    others = [
        trainer(**s).fingerprint
        for s in ({"seed": 1}, {"dtype": "bfloat16"}, {"chat_template": str(template)}, {"packing": True})
    ]
    assert len({plain, styled, *others}) == 6
    assert trainer(save_steps=3).fingerprint == plain


GOLDEN: dict[str, tuple[dict[str, Any], str]] = {
    "full": ({}, "eb04e6beb7aac850"),
    "lora": (
        {"method": "lora", "lora_r": 8, "lora_alpha": 16, "lora_dropout": 0.05},
        "0ab6a215fb61ad12",
    ),
    "kept adapter": (
        {"method": "lora", "keep_adapter": True, "learning_rate": 1e-3, "epochs": 1},
        "5f34c41328b0d5b0",
    ),
    "qlora": (
        {
            "method": "qlora",
            "schedule": "cosine",
            "warmup_steps": 10,
            "batch_size": 4,
            "gradient_accumulation": 4,
        },
        "70c78bc5a6d4fbdd",
    ),
    "packing": ({"packing": True, "max_length": 64, "weight_decay": 0.1}, "46dd79b041d8a60d"),
    "save_steps": ({"save_steps": 5}, "eb04e6beb7aac850"),
}


@pytest.mark.parametrize(("settings", "expected"), GOLDEN.values(), ids=GOLDEN.keys())
def test_the_fingerprint_of_stored_checkpoints_stays(settings: dict[str, Any], expected: str) -> None:
    """Ids of checkpoints are made of it: another value would train anew what a run has trained."""
    from iteralign.training.sft import SFT

    assert SFT(TrainingSection(**settings), locate=lambda c: c.path).fingerprint == expected


def test_the_fingerprint_of_seed_and_machine_stays() -> None:
    from iteralign.training.sft import SFT

    def made(**facts: Any) -> str:
        return SFT(TrainingSection(), locate=lambda c: c.path, **facts).fingerprint

    assert made(seed=7) == "f79b41195796a1ec"
    assert made(device="cpu", dtype="bfloat16") == "4fbae849d00db7cb"


def test_the_engine_is_told_before_memory_is_needed(base: Checkpoint, tmp_path: Path) -> None:
    told: list[str] = []
    trainer(before=lambda: told.append("free"), epochs=1).finetune(base, LESSONS[:1], tmp_path / "out")
    assert told == ["free"]


def test_an_adapter_names_its_base_as_the_hub_does(
    base: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    start = Checkpoint(path=as_cached(Path(base.path), tmp_path / "cache"))
    sft = trainer(method="lora", keep_adapter=True, epochs=1)
    second = sft.finetune(sft.finetune(start, LESSONS, tmp_path / "first"), LESSONS, tmp_path / "second")
    for name in ("first", "second"):
        assert (
            json.loads((tmp_path / name / "adapter_config.json").read_text())["base_model_name_or_path"]
            == "owner/tiny"
        )
    answers(second, [LESSONS[0].messages[:-1]])  # raises where its base is not found by that name
    assert all(str(tmp_path) not in p.read_text(errors="replace") for p in (tmp_path / "second").iterdir())


def test_qlora_trains_on_four_bits_and_leaves_whole_weights(base: Checkpoint, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed (the extra qlora)")
    before = tensors(Path(base.path))
    done = trainer(method="qlora", learning_rate=1e-2, epochs=40, lora_r=8).finetune(
        base, LESSONS, tmp_path / "out"
    )
    after = tensors(tmp_path / "out")
    assert after.keys() == before.keys()
    assert {str(t.dtype) for t in after.values()} == {"torch.float32"}
    changed = [n for n in before if not torch.equal(before[n].float(), after[n].float())]
    assert changed
    assert all("proj" in n for n in changed), "norms and embeddings keep their full precision"
    assert not any(p.is_dir() for p in (tmp_path / "out").iterdir())
    learnt = answers(done, [e.messages[:-1] for e in LESSONS])
    assert learnt == [(e.messages[-1].text, "stop") for e in LESSONS]

    kept = trainer(method="qlora", keep_adapter=True, epochs=1).finetune(base, LESSONS, tmp_path / "adapter")
    assert (tmp_path / "adapter" / "adapter_config.json").is_file()
    answers(kept, [LESSONS[0].messages[:-1]])  # raises where the probe differs
    again = trainer(method="qlora", keep_adapter=True, epochs=1, learning_rate=1e-2)
    more = again.finetune(kept, LESSONS, tmp_path / "more")
    answers(more, [LESSONS[0].messages[:-1]])
    assert base_of(str(tmp_path / "more")) == base_of(str(tmp_path / "adapter")), "of the first model"
    first, second = (tmp_path / n / "adapter_model.safetensors" for n in ("adapter", "more"))
    assert first.read_bytes() != second.read_bytes()
    with pytest.raises(TrainingError, match="starts from a whole model"):
        trainer(method="qlora").finetune(kept, LESSONS, tmp_path / "again")


def test_qlora_without_its_library_names_the_remedy(
    base: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(TrainingError, match=r"pip install 'iteralign\[qlora\]'"):
        trainer(method="qlora").finetune(base, LESSONS, tmp_path / "out")
