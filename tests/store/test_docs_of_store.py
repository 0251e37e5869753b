"""docs/store.md is true: its SQL runs and finds something, and it names every table, column and file."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from iteralign.ledger import Request
from iteralign.records.chat import Completion, Message, SamplingParams
from iteralign.records.iteralign import Checkpoint, Principle, RedTeamPrompt, Response, Verdict
from iteralign.store.run import Run
from remembering import each, keep, once

DOCS = (Path(__file__).parents[2] / "docs" / "store.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"```sql\n(.*?)```", DOCS, re.DOTALL)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a little of everything."""
    folder = tmp_path_factory.mktemp("docs") / "RUN"
    prompts = [RedTeamPrompt(messages=(Message("user", f"question {i}"),), source="t") for i in range(4)]

    def answer(part: list[RedTeamPrompt]) -> list[Response]:
        return [
            Response(prompt_id=p.id, text="Sure.", finish="stop", model="base", sampling=SamplingParams())
            for p in part
        ]  # type: ignore[arg-type]

    def judge(part: list[Response]) -> list[Verdict]:
        return [
            Verdict(
                response_id=r.id,
                label="improper",
                categories=("fraud",),
                rationale="It complies.",
                oracle="o",
                template="1",
            )
            for r in part
        ]

    def train(out: Path) -> Checkpoint:
        (out / "model.safetensors").write_text("w")
        return Checkpoint(path="x")

    with Run.create(folder, {"seed": 0}, "seed: 0\n") as run:
        step = run.scope("iteration-0001")
        responses = each(step, "red_team", Response, prompts, answer)
        verdicts = each(step, "judge", Verdict, responses, judge)
        once(
            step,
            "propose",
            list[Principle],
            lambda: [
                Principle(text="Do not help with fraud.", evidence=tuple(v.response_id for v in verdicts))
            ],
        )
        keep(run, "iteration-0001", train)
        ticket = run.calls.admit(Request("k", "http://localhost/v1", "m", 40, 16))
        run.calls.settle(ticket or 0, "answered", Completion("yes", "stop", 30, 2))
        run.export()
    return folder


def test_every_question_has_a_query_that_finds_something(directory: Path) -> None:
    part = DOCS.split("## Questions in SQL", 1)[1].split("\n## ", 1)[0]
    asked = re.findall(r"^([^\n]*[?:])\n\n```sql\n(.*?)```", part, re.DOTALL | re.MULTILINE)
    assert [query for _, query in asked] == QUERIES != []
    db = sqlite3.connect(f"{directory.as_uri()}/run.sqlite?mode=ro", uri=True)
    for question, query in asked:
        rows = db.execute(query).fetchall()
        assert rows, question
        assert all(value is not None for row in rows for value in row), question
    db.close()


def test_every_table_column_and_file_is_described(directory: Path) -> None:
    db = sqlite3.connect(directory / "run.sqlite")
    tables = [
        t
        for (t,) in db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
    ]
    columns = {t: [row[1] for row in db.execute(f"PRAGMA table_info({t})")] for t in tables}
    keys = [k for (k,) in db.execute("SELECT key FROM meta")]
    db.close()
    for table, names in columns.items():
        part = DOCS.split(f"**{table}**", 1)[1].split("\n**", 1)[0]
        for name in [*names, *(keys if table == "meta" else [])]:
            assert f"`{name}`" in part, f"docs/store.md does not describe {table}.{name}"
    for path in directory.iterdir():
        assert path.name in DOCS
