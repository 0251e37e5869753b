"""Tasks of lm-eval on our checkpoints: counted as lm-eval counts them, stored, gated, and refused where they
cannot be run.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from iteralign.build.evals import tasks
from iteralign.build.models import host
from iteralign.build.run import start
from iteralign.engines.hf.host import HFHost
from iteralign.engines.scripted import ScriptedPolicy
from iteralign.errors import DataError, RecipeError, Unsupported
from iteralign.evals.lm_harness import Harness, items
from iteralign.protocols import Policy
from iteralign.recipe.load import load_recipe
from iteralign.records.iteralign import Checkpoint, EvalReport
from iteralign.report.decisions import told
from iteralign.stages.accept import accept
from iteralign.stats import estimate, wilson
from iteralign.store.run import Run
from memory import Memory

pytest.importorskip("lm_eval")
TASK = """task: {name}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {data}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{q}}}}"
doc_to_choice: choices
doc_to_target: gold
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
  - metric: acc_norm
    aggregation: mean
    higher_is_better: true
metadata:
  version: 2
"""


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("task")
    rows = [
        {"q": f"What goes with the number {i}?", "choices": ["a hat", "the long river", "tea"], "gold": i % 3}
        for i in range(24)
    ]
    (folder / "own.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "own.yaml").write_text(
        TASK.format(name="own_questions", data=json.dumps(str(folder / "own.jsonl")))
    )
    return folder / "own.yaml"


@pytest.fixture
def policy(tiny: Path) -> Iterator[Policy]:
    host = HFHost(device="cpu", dtype="float32", locate=lambda c: str(tiny), warn=print)
    with host.serve(Checkpoint(path=str(tiny))) as found:
        yield found


def test_the_numbers_are_lm_evals_with_an_interval_and_the_items(
    policy: Policy, task: Path, tiny: Path
) -> None:
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    report = Harness(str(task)).run(policy, Memory())
    theirs = lm_eval.simple_evaluate(
        model=HFLM(pretrained=str(tiny), dtype="float32", device="cpu", batch_size=4),
        tasks=["own_questions"],
        task_manager=TaskManager(include_path=str(task.parent), include_defaults=False),
        apply_chat_template=True,
        bootstrap_iters=0,
    )
    own = theirs["results"]["own_questions"]
    assert report.name == "lm-eval:own_questions"
    assert report.main.value == pytest.approx(own["acc,none"])
    assert report.metrics["lm-eval:own_questions/acc_norm"].value == pytest.approx(own["acc_norm,none"])
    assert report.main == wilson(sum(report.per_item.values()), 24)
    assert {s["doc_id"]: s["acc"] for s in theirs["samples"]["own_questions"]} == {
        int(k.split("/")[1]): v for k, v in report.per_item.items()
    }
    assert report.facts["metric"] == "acc"
    assert report.facts["task_version"] == "2"
    assert len(report.facts["sha256"]) == 64
    some = Harness(str(task), limit=5).run(policy, Memory())
    assert (some.main.n, some.facts["sample"]) == (
        5,
        "only the first 5 items of each task: not a result to compare",
    )


def test_a_recipe_measures_by_it_stores_it_and_a_fall_beyond_the_margin_blocks(
    task: Path, tiny: Path, tmp_path: Path
) -> None:
    recipe = load_recipe(
        "smoke",
        [
            f"model.name={tiny}",
            f"evaluation.lm_eval=[{task}]",
            "evaluation.lm_eval_limit=20",
            "model.device=cpu",
        ],
    )
    (own,) = tasks(recipe)
    with Run.create(tmp_path / "run", {}, "") as run:
        with host(recipe, lambda c: c.path).serve(Checkpoint(path=str(tiny))) as policy:
            report = own.run(policy, run.scope("x"))
        (kept,) = run.read(EvalReport, "x", "lm-eval:own_questions")
        assert kept == report
        with host(recipe, lambda c: "/nowhere").serve(Checkpoint(path=str(tiny))) as nowhere:
            assert own.run(nowhere, run.scope("x")) == report, "a resumed run loads nothing"
    assert report.main.n == 20

    def reports(name: str, values: list[float]) -> EvalReport:
        per_item = {str(i): v for i, v in enumerate(values)}
        return EvalReport(
            name=name, checkpoint="c", version="1", metrics={name: estimate(values)}, per_item=per_item
        )

    harm = (reports("harm", [1.0] * 30), reports("harm", [0.0] * 30))
    right = replace(report, id="", per_item=dict.fromkeys(report.per_item, 1.0))
    wrong = replace(report, id="", per_item={k: float(n > 5) for n, k in enumerate(report.per_item)})
    assert accept([harm[1], right], [harm[0], right], [harm[0], right], task_margin=0.2).accepted
    assert not accept([harm[1], right], [harm[0], right], [harm[0], right], task_margin=0.05).accepted, (
        "20 items cannot tell"
    )
    blocked = accept([harm[1], wrong], [harm[0], right], [harm[0], right], task_margin=0.2)
    assert not blocked.accepted
    assert "lm-eval:own_questions 1.000 -> 0.700 (n=20)" in told(blocked)


def test_it_is_a_task_of_evaluate_too(task: Path, tiny: Path, tmp_path: Path) -> None:
    from evaluate_command import objects

    arguments = [
        "--tasks",
        f"lm-eval:{task}",
        "--model",
        tiny,
        "--limit",
        6,
        "--out",
        tmp_path / "out",
        "--parent",
        tiny,
    ]
    (told,) = objects(*arguments)
    assert (told["task"], told["n"], told["paired_items"]) == (f"lm-eval:{task}", 6, 6)
    assert "lm-eval:own_questions" in told["metrics"]


def test_it_is_refused_at_once_where_it_could_not_run(
    task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = [
        "model.engine=server",
        "model.base_url=http://localhost:1/v1",
        "training.method=lora",
        "training.keep_adapter=true",
    ]
    for n, setting in enumerate((f"evaluation.lm_eval=[{task}]", f"evaluation.tasks=['lm-eval:{task}']")):
        with pytest.raises(
            RecipeError,
            match=r"model\.engine = server has none here. Leave the tasks out, or set model\.engine = hf",
        ):
            start(load_recipe("smoke", [*served, setting]), tmp_path / f"run{n}")
    with pytest.raises(DataError, match=r"gone\.yaml: cannot be read"):
        Harness(str(tmp_path / "gone.yaml"))
    (tmp_path / "bad.yaml").write_text("dataset_path: json\n")
    with pytest.raises(DataError, match=r"bad\.yaml, field 'task': it is not there"):
        Harness(str(tmp_path / "bad.yaml"))
    (tmp_path / "lost.yaml").write_text(TASK.format(name="lost", data='"/nowhere/x.jsonl"'))
    with pytest.raises(
        Unsupported, match=r"ScriptedPolicy has no weights that lm-eval could run: take model\.engine = hf"
    ):
        Harness(str(tmp_path / "lost.yaml")).run(ScriptedPolicy(lambda chat: "x"), Memory())

    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("iteralign.evals.lm_harness.installed", absent)
    with pytest.raises(
        RecipeError, match=r"lm-eval, which is not installed. Install it: pip install 'iteralign\[eval\]'"
    ):
        start(load_recipe("smoke", [f"evaluation.lm_eval=[{task}]"]), tmp_path / "alone")


def test_a_task_whose_data_are_not_there_says_so(policy: Policy, tmp_path: Path) -> None:
    (tmp_path / "lost.yaml").write_text(TASK.format(name="lost", data='"/nowhere/x.jsonl"'))
    with pytest.raises(
        DataError, match=r"lm-eval:lost: lm-eval could not run it .*Check the task's file and data"
    ):
        Harness(str(tmp_path / "lost.yaml")).run(policy, Memory())


def test_items_are_shares_of_the_first_filter_and_of_what_is_better_higher() -> None:
    rows: list[dict[str, Any]] = [
        {
            "doc_id": i,
            "filter": f,
            "metrics": ["ppl", "loss", "f1", "acc"],
            "ppl": 9.0,
            "loss": 0.5,
            "f1": 0.25,
            "acc": f == "strict",
        }
        for f in ("strict", "loose")
        for i in range(2)
    ]
    assert items("t", rows, {"loss": False, "f1": True, "acc": True}) == {
        "acc": {"0": 1.0, "1": 1.0},
        "f1": {"0": 0.25, "1": 0.25},
    }
    with pytest.raises(
        DataError, match=r"lm-eval:t: none of its metrics \(ppl\) is a number from 0 to 1 for each item"
    ):
        items("t", [{"doc_id": 0, "metrics": ["ppl"], "ppl": 9.0}], {})
    assert estimate([0.25, 0.75]).n == 2


def test_a_metric_of_which_nobody_knows_what_is_better_is_refused() -> None:
    rows = [{"doc_id": 0, "metrics": ["error_rate", "acc"], "error_rate": 1.0, "acc": 0.0}]
    with pytest.raises(
        DataError,
        match=(
            r"whether a higher error_rate is better.* field metric_list, .*: higher_is_better: true \(or "
            r"false\)"
        ),
    ):
        items("t", rows, {"error_rate": None, "acc": False})
    assert items("t", rows, {"acc": True}) == {"acc": {"0": 0.0}}


def test_two_tasks_stand_beside_each_other_and_changed_data_are_noticed(
    task: Path, tiny: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.jsonl"

    def write(gold: int, text: str = "") -> None:
        rows = [
            {"q": f"{text}And what with {i}?", "choices": ["a hat", "tea"], "gold": gold} for i in range(8)
        ]
        other.write_text("\n".join(map(json.dumps, rows)))

    write(0)
    (tmp_path / "base.yaml").write_text(
        TASK.format(name="other", data=json.dumps(str(other))).replace("task: other\n", "")
    )
    (tmp_path / "functions.py").write_text("def same(doc):\n    return doc['gold']\n")
    (tmp_path / "other.yaml").write_text(
        "task: other\ninclude: base.yaml\ndoc_to_target: !function functions.same\n"
    )
    recipe = load_recipe("smoke", [f"model.name={tiny}", "model.device=cpu"])
    with (
        Run.create(tmp_path / "run", {}, "") as run,
        host(recipe, lambda c: c.path).serve(Checkpoint(path=str(tiny))) as policy,
    ):
        both = [
            Harness(str(p), code=True).run(policy, run.scope("x")) for p in (task, tmp_path / "other.yaml")
        ]
        assert [r.name for r in both] == ["lm-eval:own_questions", "lm-eval:other"]
    with (
        Run.open(tmp_path / "run") as run,
        host(recipe, lambda c: c.path).serve(Checkpoint(path=str(tiny))) as policy,
    ):
        assert [
            Harness(str(p), code=True).run(policy, run.scope("x")) for p in (task, tmp_path / "other.yaml")
        ] == both
        assert not run.events("superseded"), "neither takes the other's place"
        assert [name.split()[0] for name in both[1].facts["files"].split(", ")] == [
            "base.yaml",
            "functions.py",
            "other.jsonl",
        ]
        write(1)
        changed = Harness(str(tmp_path / "other.yaml"), code=True).run(policy, run.scope("x"))
        assert changed.main.value == pytest.approx(1 - both[1].main.value)
        assert changed.facts["files"] != both[1].facts["files"]
        assert changed.facts["shortened"] == "0"
        write(1, "a long way " * 200)
        assert (
            Harness(str(tmp_path / "other.yaml"), code=True).run(policy, run.scope("x")).facts["shortened"]
            == "8"
        )


@pytest.mark.slow
def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(
        RecipeError, match=r"lm-eval:hellaswagg: lm-eval .* has no such task. Did you mean 'hellaswag'"
    ):
        Harness("hellaswagg")
