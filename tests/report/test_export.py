"""What a run exports: rows that TRL and datasets read, and a model that transformers loads."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from iteralign.errors import CheckpointCorrupt, StoreError
from iteralign.records.chat import Message, SamplingParams
from iteralign.records.iteralign import (
    Checkpoint,
    Constitution,
    Decision,
    Failure,
    IterationRecord,
    RedTeamPrompt,
    Response,
    Revision,
    RunResult,
    Screening,
    TrainingExample,
    Verdict,
)
from iteralign.report.export import final_checkpoint, model, preference_pairs, training_examples, write_jsonl
from iteralign.stats import wilson
from iteralign.store.run import Run
from remembering import keep, once

BASE = Checkpoint(path="base/model-7b", trainer_hash="base")
TEXT = 'Line\nbreaks, "quotes", \u2028 separators, \x07 bells, \x7f, Zürich 😀'


def failure(i: int) -> Failure:
    prompt = RedTeamPrompt(
        messages=(Message("system", "Be brief."), Message("user", f"question {i}?")), source="t"
    )
    response = Response(
        prompt_id=prompt.id,
        text=f"bad answer {i} {TEXT}",
        finish="stop",
        model="m",
        sampling=SamplingParams(),
    )
    verdict = Verdict(
        response_id=response.id, label="improper", categories=("theft",), oracle="o", template="t"
    )
    return Failure(prompt=prompt, response=response, verdict=verdict)


def screening(f: Failure, text: str, kept: bool) -> Screening:
    revision = Revision(
        prompt_id=f.prompt.id,
        response_id=f.response.id,
        constitution_id="c",
        principle_ids=(),
        reflection="r",
        text=text,
        finish="stop",
        attempt=1,
    )
    verdict = Verdict(
        response_id=f.response.id, label="proper" if kept else "improper", oracle="o", template="t"
    )
    return Screening(response_id=f.response.id, revision=revision, verdict=verdict, kept=kept, reason="r")


def example(f: Failure, text: str) -> TrainingExample:
    return TrainingExample(
        messages=(*f.prompt.messages, Message("assistant", text)), source="revision", prompt_id=f.prompt.id
    )


def iteration(index: int, before: Checkpoint, after: Checkpoint) -> IterationRecord:
    decision = Decision(accepted=before != after, reason="r")
    return IterationRecord(
        index=index,
        before=before,
        after=after,
        constitution=Constitution(),
        counts={},
        failures=wilson(1, 2),
        reports=(),
        decision=decision,
    )


def record(run: Run, index: int, before: Checkpoint, after: Checkpoint) -> None:
    scope = run.scope(f"iteration-{index:04d}")
    one = failure(2 * index)
    two = failure(2 * index + 1)
    once(scope, "failures", list[Failure], lambda: [one, two])
    once(
        scope,
        "screen",
        list[Screening],
        lambda: [
            screening(one, "still bad", False),
            screening(one, f"good {TEXT}", True),
            screening(two, "x", False),
        ],
    )
    replay = [example(failure(2), f"good {TEXT}")]
    once(scope, "examples", list[TrainingExample], lambda: [example(one, f"good {TEXT}"), *replay])
    once(scope, "iteration", IterationRecord, lambda: iteration(index, before, after))


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with Run.create(tmp_path / "run", {"seed": 0, "model": {"name": "base/model-7b"}}, "seed: 0\n") as made:
        yield made


def build_tiny(folder: Path) -> Checkpoint:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=32,
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    (folder / "training_args.bin").write_bytes(b"a pickle")
    (folder / "checkpoint-5").mkdir()
    return Checkpoint(path="x", parent=BASE.id, data_hash="d", trainer_hash="t")


def build_text(folder: Path) -> Checkpoint:
    (folder / "config.json").write_text("{}")
    return Checkpoint(path="x", parent=BASE.id, data_hash="d", trainer_hash="t")


def read_with_datasets(path: Path, cache: Path) -> list[dict[str, Any]]:
    from datasets import disable_progress_bars, load_dataset

    disable_progress_bars()
    return list(load_dataset("json", data_files=str(path), split="train", cache_dir=str(cache)))


def test_training_examples_are_the_rows_that_were_trained_on_once_each(run: Run, tmp_path: Path) -> None:
    record(run, 1, BASE, BASE)
    record(run, 2, BASE, BASE)
    rows = training_examples(run)
    assert [r["prompt"][-1]["content"] for r in rows] == ["question 2?", "question 4?"]
    assert rows[0]["prompt"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "question 2?"},
    ]
    assert rows[0]["completion"] == [{"role": "assistant", "content": f"good {TEXT}"}]
    out = tmp_path / "new" / "examples.jsonl"
    assert write_jsonl(rows, out) == 2
    assert read_with_datasets(out, tmp_path / "cache") == rows


def test_preference_pairs_set_the_kept_revision_against_the_first_answer(run: Run, tmp_path: Path) -> None:
    record(run, 1, BASE, BASE)
    rows = preference_pairs(run)
    assert rows == [
        {
            "prompt": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "question 2?"},
            ],
            "chosen": [{"role": "assistant", "content": f"good {TEXT}"}],
            "rejected": [{"role": "assistant", "content": f"bad answer 2 {TEXT}"}],
        }
    ]
    write_jsonl(rows, tmp_path / "pairs.jsonl")
    assert read_with_datasets(tmp_path / "pairs.jsonl", tmp_path / "cache") == rows


def test_trl_takes_the_rows_for_what_they_are(run: Run) -> None:
    from trl.data_utils import is_conversational

    record(run, 1, BASE, BASE)
    assert is_conversational(training_examples(run)[0])
    assert is_conversational(preference_pairs(run)[0])


def test_a_run_that_has_just_begun_exports_nothing(run: Run, tmp_path: Path) -> None:
    assert training_examples(run) == preference_pairs(run) == []
    assert final_checkpoint(run) is None
    with pytest.raises(StoreError, match="no finished iteration yet"):
        model(run, tmp_path / "out")


def test_every_row_is_one_line_for_every_reader(tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    write_jsonl([{"prompt": [{"role": "user", "content": TEXT}]}] * 3, out)
    lines = out.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 3
    assert json.loads(lines[0])["prompt"][0]["content"] == TEXT
    assert all(line.isprintable() for line in lines)
    assert "Zürich 😀" in lines[0]


def test_rows_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    write_jsonl([{"a": 1}], out)
    with pytest.raises(TypeError):
        write_jsonl([{"a": 2}, {"a": object()}], out)
    assert json.loads(out.read_text()) == {"a": 1}
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(StoreError, match=r"folder\.jsonl cannot be written"):
        write_jsonl([{"a": 1}], tmp_path / "folder.jsonl")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder.jsonl", "rows.jsonl"]


def test_the_final_model_is_the_one_accepted_last_and_transformers_loads_it(run: Run, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    made = keep(run, "iteration-0001", build_tiny)
    record(run, 1, BASE, made)
    record(run, 2, made, made)  # rolled back
    assert final_checkpoint(run) == made
    out = model(run, tmp_path / "deep" / "model")
    ours = AutoModelForCausalLM.from_pretrained(out)
    theirs = AutoModelForCausalLM.from_pretrained(run.locate(made))
    assert all(
        torch.equal(a, b)
        for a, b in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True)
    )
    assert sorted(p.name for p in out.iterdir()) == [
        "config.json",
        "generation_config.json",
        "model.safetensors",
    ]
    assert (out / "model.safetensors").stat().st_mode & 0o777 == 0o644
    assert not list(out.parent.glob(".*"))


def test_a_result_says_which_model_is_final(run: Run) -> None:
    made = keep(run, "iteration-0001", build_text)
    record(run, 1, BASE, made)
    result = RunResult(
        baseline=(),
        iterations=(),
        final=(),
        constitution=Constitution(),
        checkpoint=dataclasses.replace(made),
        improvement=(),
        stop_reason="done",
    )
    once(run.scope("run"), "result", RunResult, lambda: result)
    assert final_checkpoint(run) == made


def test_an_export_never_overwrites(run: Run, tmp_path: Path) -> None:
    record(run, 1, BASE, keep(run, "iteration-0001", build_text))
    (tmp_path / "empty").mkdir()
    assert (model(run, tmp_path / "empty") / "config.json").read_text() == "{}"
    with pytest.raises(StoreError, match="not an empty folder"):
        model(run, tmp_path / "empty")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StoreError, match="not an empty folder"):
        model(run, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_damaged_checkpoint_is_not_exported(run: Run, tmp_path: Path) -> None:
    made = keep(run, "iteration-0001", build_text)
    record(run, 1, BASE, made)
    (run.directory / made.path / "config.json").write_text("{ }")
    with pytest.raises(CheckpointCorrupt):
        model(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_where_nothing_was_accepted_the_base_model_is_final(run: Run, tmp_path: Path) -> None:
    record(run, 1, BASE, BASE)
    with pytest.raises(StoreError, match="the base model 'base/model-7b' as it was: see why with"):
        model(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    folder = tmp_path / "local"
    folder.mkdir()
    (folder / "pytorch_model.bin").write_bytes(b"weights")
    (folder / "modeling_own.py").touch()
    others: list[str] = []
    model(run, tmp_path / "out", lambda checkpoint: str(folder), base=True, left_out=others.extend)
    assert others == ["modeling_own.py"]
    assert (tmp_path / "out" / "pytorch_model.bin").read_bytes() == b"weights"
    with pytest.raises(StoreError, match="is no folder here that could be copied: load it by that name"):
        model(run, tmp_path / "another", base=True)
