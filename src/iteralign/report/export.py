"""What others train with or serve: a run's examples, preference pairs and final model.

Examples and pairs are in TRL's conversational formats. Reads the stored records of a run; knows nothing of
how they came about.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from iteralign.errors import StoreError
from iteralign.records.chat import Message
from iteralign.records.iteralign import (
    Checkpoint,
    IterationRecord,
    RunResult,
    Screening,
    TrainingExample,
)
from iteralign.records.self_align import Aligned, Harvest, SelfAlignResult
from iteralign.report.stored import failures_in
from iteralign.store.checkpoints import files_of
from iteralign.store.files import remove_tree, write_for_user
from iteralign.store.run import Run
from iteralign.text.printable import readable_json

Row = dict[str, list[dict[str, str]]]


def training_examples(run: Run) -> list[Row]:
    """Every example that some iteration trained on, once each, in order.

    Rows are ``{"prompt": [...], "completion": [...]}``. Verified revisions with their replay, those of
    rolled-back iterations too. TRL's SFTTrainer learns the completion only.
    """
    examples = (
        e
        for scope in _iterations(run)
        for step in run.read(list[TrainingExample], scope, "examples")
        for e in step
    )
    unique = {e.messages: e for e in examples}
    return [{"prompt": _turns(m[:-1]), "completion": _turns(m[-1:])} for m in unique]


def self_align_examples(run: Run) -> Iterator[Row]:
    """What the last training of a Self-Align run learnt, without system prompts.

    The kept answers of cloning, or of the alignment where there is no cloning; one at a time, for there may
    be many.
    """
    stage = "clone" if any(s.startswith("clone-") for s in run.scopes()) else "align"
    given = {
        g["id"]: g["text"] for found in run.read(dict[str, Any], "data", "words") for g in found["given"]
    }
    texts = given | {i.id: i.text for s in run.scopes() for h in run.read(Harvest, s, "kept") for i in h.kept}
    for scope in (s for s in run.scopes() if s.startswith(f"{stage}-")):
        for answer in run.read(Aligned, scope, "answers"):
            if answer.kept:
                yield {
                    "prompt": _turns([Message("user", texts[answer.instruction_id])]),
                    "completion": _turns([Message("assistant", answer.text)]),
                }


def preference_pairs(run: Run) -> list[Row]:
    """One row per kept revision.

    ``chosen`` is the revision, ``rejected`` the first answer to the same ``prompt``, which was improper or
    refused what is safe.
    """
    rows: list[Row] = []
    for scope in _iterations(run):
        failures = {f.response.id: f for f in failures_in(run, scope)}
        for step in run.read(list[Screening], scope, "screen"):
            for screening in step:
                failure = failures.get(screening.response_id)
                if (
                    screening.kept
                    and failure is not None
                    and screening.revision.text != failure.response.text
                ):
                    rows.append(
                        {
                            "prompt": _turns(failure.prompt.messages),
                            "chosen": _turns([Message("assistant", screening.revision.text)]),
                            "rejected": _turns([Message("assistant", failure.response.text)]),
                        }
                    )
    return rows


def write_jsonl(rows: Iterable[Mapping[str, Any]], out: Path) -> int:
    """Write one JSON object a line, whole or not at all; returns how many. Raises ``StoreError``."""
    out = Path(out)
    count = 0

    def lines() -> Iterator[str]:
        nonlocal count
        for row in rows:
            count += 1
            yield _line(row)

    write_for_user(out, lines())
    return count


def final_checkpoint(run: Run) -> Checkpoint | None:
    """The weights that were accepted last; None where no iteration was finished yet."""
    kind = SelfAlignResult if run.settings.get("method") == "self-align" else RunResult
    results: list[Any] = run.read(kind, "run", "result")
    if results:
        last: Checkpoint = results[-1].checkpoint
        return last
    records: list[IterationRecord] = [
        r for scope in _iterations(run) for r in run.read(IterationRecord, scope, "iteration")
    ]
    return records[-1].after if records else None


def model(
    run: Run,
    out: Path,
    locate: Callable[[Checkpoint], str] | None = None,
    *,
    base: bool = False,
    left_out: Callable[[list[str]], object] = list,
) -> Path:
    """Copy the final accepted model, or the ``base`` model, into the folder ``out``; returns the folder.

    ``transformers`` loads it as it is. A base model that is a name, not a folder here, cannot be copied.
    ``locate`` says where weights lie (the run's own place by default); ``left_out`` is given the names of the
    files in a base's folder that are not copied (code, pickles). Raises ``StoreError``, also where no
    candidate was accepted, and ``CheckpointCorrupt``.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StoreError(
            f"{out} is there already and not an empty folder: "
            "choose another place, so that nothing is overwritten"
        )
    checkpoint = Checkpoint(path=run.settings["model"]["name"]) if base else final_checkpoint(run)
    if checkpoint is None:
        raise StoreError(
            f"{run.directory} has no finished iteration yet, so there is no model to export: resume it first"
        )
    if not base and checkpoint.parent is None:
        raise StoreError(
            f"no candidate of {run.directory} was accepted, so its model is the base model "
            f"{checkpoint.path!r} as it was: see why with `iteralign show {run.directory} iterations`, or "
            "export the base with --base"
        )
    source = Path((locate or run.locate)(checkpoint))
    if not source.is_dir():
        raise StoreError(
            f"the base model {checkpoint.path!r} is no folder here that could be copied: load it by that name"
        )
    _copy(source, out, base=base)
    if base:
        copied = {p.name for p in out.iterdir()}
        left_out(sorted(p.name for p in source.iterdir() if p.name not in copied and p.name[0] != "."))
    return out


def _copy(source: Path, out: Path, *, base: bool = False) -> None:
    """The model's files alone, with the modes of new files, whole or not at all."""
    partial = out.with_name(f".{out.name}.partial")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        remove_tree(partial)
        partial.mkdir()
        files = files_of(source, base=base)
        if base and not any(name.endswith((".safetensors", ".bin")) for name, _ in files):
            raise StoreError(
                f"{source} holds no weights that can be copied: links that lead out of the folder are not "
                "followed; put the files themselves there, or load the model by that name"
            )
        for name, file in files:
            shutil.copyfile(file, partial / name)
        if out.exists():
            out.rmdir()
        os.replace(partial, out)
    except OSError as error:
        raise StoreError(
            f"{out} cannot be written: {error.strerror or error}; make room, or choose another place"
        ) from error
    finally:
        remove_tree(partial)


def _iterations(run: Run) -> list[str]:
    return sorted(s for s in run.scopes() if s.startswith("iteration-"))


def _line(row: Mapping[str, Any]) -> str:
    """One line of JSON; what some readers take for a line's end, or a terminal would obey, is escaped."""
    text = json.dumps(row, ensure_ascii=False)
    return readable_json(text) + "\n"


def _turns(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": m.role, "content": m.text} for m in messages]
