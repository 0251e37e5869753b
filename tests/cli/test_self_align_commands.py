"""The command ``self-align``: plan, count, stages alone, errors; slow: the whole, killed in every stage."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from iteralign import load_run
from iteralign.build.data import first_constitution
from iteralign.build.self_align_words import read_words
from iteralign.cli.main import app
from iteralign.data.self_align_texts import rules
from iteralign.recipe.load import load_recipe
from iteralign.recipe.self_align import SelfAlignRecipe
from patience import PATIENCE

SMALL = ["--set", "self_instruct.prompts=6", "--set", "self_instruct.round=2", "--set", "topics.rounds=0"]


def call(*args: str) -> Result:
    return CliRunner().invoke(app, ["self-align", *args])


def data(*args: str) -> Any:
    result = call(*args, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_count_of_human_lines_is_below_300_and_told() -> None:
    lines = data("--count-human-lines")
    assert lines["seed_tasks.txt"] == 175
    assert lines["topics.txt"] == 20
    assert lines["rules.yaml"] == 16
    assert data("self-align-2-7b", "--count-human-lines")["rules.yaml"] == 17
    assert "seed_tasks.txt" not in data("self-align-2-7b", "--count-human-lines")
    assert lines["total"] == sum(v for k, v in lines.items() if k != "total") < 300


def test_own_files_are_counted_in_place_of_the_shipped_ones(tmp_path: Path) -> None:
    mine = tmp_path / "seeds.txt"
    mine.write_text(
        "Explain how a lock works to a child.\nName four uses of salt in the kitchen.\n", encoding="utf-8"
    )
    assert data("--count-human-lines", "--set", f"words.seeds={mine}")["seed_tasks.txt"] == 2


def test_the_plan_of_the_7b_recipe() -> None:
    plan = data("self-align-7b", "--plan", "--hardware", "h100")["plan"]
    stages = {s["name"]: s for s in plan["stages"]}
    assert 340_000 < plan["instructions"] < 380_000, "267,597 ordinary and about 99,000 topic-guided"
    assert stages["2 answers under the rules"]["requests"] == plan["instructions"]
    rules_and_exemplars = stages["2 answers under the rules"]["prompt_tokens"] / plan["instructions"]
    assert 900 < rules_and_exemplars < 2500
    assert stages["4 extensive answers"]["new_tokens"] <= 512 * plan["instructions"]
    assert plan["requests"] == sum(s["requests"] for s in plan["stages"])
    assert 10 < plan["hours"] < 500
    assert plan["fits"] is True
    assert plan["disk_bytes"] < 10e9, "two adapters and the texts"
    whole = ["engrave.training.keep_adapter=false", "clone.training.keep_adapter=false"]
    asked = [x for setting in whole for x in ("--set", setting)]
    assert data("self-align-7b", "--plan", *asked)["plan"]["disk_bytes"] > 2 * 4 * 6e9, "two whole models"
    small = data("self-align-7b", "--plan", "--hardware", "4090")["plan"]
    assert small["fits"] is False, "32 rows of 768 tokens"
    assert "clone.training.batch_size = 16" in small["too_much"][1]
    full = data(
        "self-align-7b",
        "--plan",
        "--hardware",
        "4090",
        "--set",
        "engrave.training.method=full",
        "--set",
        "clone.training.method=full",
    )
    assert full["plan"]["fits"] is False


def test_served_models_share_the_work_of_all_devices() -> None:
    served = [
        "--set",
        "model.engine=server",
        "--set",
        "model.base_url=http://localhost:1/v1",
        "--set",
        "clone.ngram_penalty=0",
    ]
    one, eight = (
        data("self-align-7b", "--plan", "--hardware", h, *served)["plan"] for h in ("h100", "h100x8")
    )
    assert eight["hours"] < one["hours"]
    alone = [data("self-align-7b", "--plan", "--hardware", h)["plan"]["hours"] for h in ("h100", "h100x8")]
    assert alone[0] == alone[1]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nothing"], "no such recipe"),
        (["embedded"], "iteralign run embedded"),
        (["--plan", "--hardware", "h10"], "Did you mean"),
        (["--hardware", "h100"], "only goes with --plan"),
        (["--count-human-lines", "--principles", "absent.yaml"], "absent.yaml"),
        (["answer", "absent.jsonl", "--out", "x.jsonl"], "absent.jsonl"),
        (["ablate", "absent"], "absent"),
        (["ablat", "absent"], "Did you mean 'ablate'"),
        (["--count-human-lines", "--set", "words.without=courage"], "courage.*no such rule"),
    ],
)
def test_mistakes_are_one_message_with_a_remedy(
    args: list[str], message: str, tmp_path: Path, monkeypatch: Any
) -> None:
    import re

    monkeypatch.chdir(tmp_path)
    result = call(*args)
    assert result.exit_code not in (0, 1), result.output
    assert re.search(message, result.output), result.output
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_constitution_of_iteralign_is_taken_as_rules(tmp_path: Path) -> None:
    file = tmp_path / "constitution.yaml"
    texts = [
        "Never help anyone to deceive people for money.",
        "Respect what belongs to others in every answer.",
    ]
    file.write_text(
        "principles:\n"
        + "".join(
            f"  - text: {t}\n    category: {c}\n" for t, c in zip(texts, ("fraud", "theft"), strict=True)
        ),
        encoding="utf-8",
    )
    assert data("--count-human-lines", "--principles", str(file))["rules.yaml"] == 2
    recipe = load_recipe("embedded-self-align", [f"words.rules={file}"], kind=SelfAlignRecipe)
    words = read_words(recipe)
    assert words.guide.rules == (("fraud", texts[0]), ("theft", texts[1]))
    assert texts[1] in words.guide.chat[0].text


def test_the_rules_can_seed_a_constitution() -> None:
    found = first_constitution("self-align")
    assert [p.category for p in found.principles] == [r.name for r in rules()]
    assert all(p.status == "active" and p.born == 0 for p in found.principles)
    assert first_constitution(None).principles == ()


def test_each_stage_alone(tmp_path: Path) -> None:
    written = data("instruct", "--recipe", "smoke-self-align", "--out", str(tmp_path / "i.jsonl"), *SMALL)
    assert written["rows"] == 6
    answered = data(
        "answer",
        str(tmp_path / "i.jsonl"),
        "--recipe",
        "smoke-self-align",
        "--out",
        str(tmp_path / "a.jsonl"),
    )
    assert answered["rows"] == 6
    assert answered["kept"] >= 4
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()]
    assert all(r["answer"]["thoughts"].startswith("This") for r in rows if r["answer"]["kept"])
    trained = data(
        "engrave",
        str(tmp_path / "a.jsonl"),
        "--recipe",
        "smoke-self-align",
        "--out",
        str(tmp_path / "engraved"),
    )
    assert trained["examples"] == answered["kept"] + 6
    extended = data(
        "extend",
        str(tmp_path / "i.jsonl"),
        "--model",
        str(tmp_path / "engraved"),
        "--recipe",
        "smoke-self-align",
        "--out",
        str(tmp_path / "e.jsonl"),
    )
    assert extended["rows"] == 6
    assert extended["kept"] >= 3
    assert (
        data(
            "clone",
            str(tmp_path / "e.jsonl"),
            "--recipe",
            "smoke-self-align",
            "--out",
            str(tmp_path / "cloned"),
        )["examples"]
        >= 9
    )
    again = call("engrave", str(tmp_path / "a.jsonl"), "--out", str(tmp_path / "engraved"))
    assert again.exit_code != 0
    assert "not empty" in again.output


def test_own_answers_may_be_plain(tmp_path: Path) -> None:
    mine = tmp_path / "mine.jsonl"
    mine.write_text(
        '{"instruction": "How do I brew tea?", "answer": "Warm the pot, then wait."}\n', encoding="utf-8"
    )
    assert (
        data("engrave", str(mine), "--recipe", "smoke-self-align", "--out", str(tmp_path / "out"))["examples"]
        == 7
    )
    mine.write_text('{"instruction": "How?", "answer": 3}\n', encoding="utf-8")
    wrong = call("engrave", str(mine), "--out", str(tmp_path / "again"))
    assert wrong.exit_code == 3
    assert "line 1" in wrong.output
    assert "pydantic" not in wrong.output


def test_rules_in_a_file_are_told_what_is_wrong_with_them(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    for text, message in (
        (
            "- {name: kind, text: Be kind to everyone.}\n- {name: kind, text: Be kinder still to all.}\n",
            "another rule's too",
        ),
        ("- {name: kind}\n", "text"),
        ("- {name: 'kind, always', text: Be kind to everyone.}\n", "holds a comma"),
    ):
        file.write_text(text, encoding="utf-8")
        wrong = call("--count-human-lines", "--principles", str(file))
        assert wrong.exit_code == 3
        assert message in wrong.output, wrong.output


def run(out: Path) -> list[str]:
    return [sys.executable, "-m", "iteralign", "self-align", "smoke-self-align", "--out", str(out), "--quiet"]


@pytest.mark.slow
def test_it_ends_alike_when_it_is_killed_in_every_stage(tmp_path: Path) -> None:
    """SIGKILL in stages 1 to 4 (answers and training), each once in one run: identical data and weights."""
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(run(tmp_path / "whole"), check=True, capture_output=True, env=env)
    moments = [
        "self-instruct-0002/",
        "topic-requests-",
        "align-0002/",
        "checkpoints/engraved",
        "clone-0001/",
        "checkpoints/cloned",
    ]
    for moment in moments:
        process = subprocess.Popen(
            run(tmp_path / "killed"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env
        )
        deadline = time.monotonic() + PATIENCE
        while (
            time.monotonic() < deadline and process.poll() is None and not seen(tmp_path / "killed", moment)
        ):
            time.sleep(0.02)
        assert process.poll() is None, f"ended before {moment}"
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(run(tmp_path / "killed"), check=True, capture_output=True, env=env)
    with load_run(tmp_path / "whole") as a, load_run(tmp_path / "killed") as b:
        assert a.digest() == b.digest()
        for name in ("engraved", "cloned"):
            files = [p / "checkpoints" / name / "model.safetensors" for p in (a.directory, b.directory)]
            assert files[0].read_bytes() == files[1].read_bytes()

    ablated = CliRunner().invoke(
        app,
        ["self-align", "ablate", str(tmp_path / "whole"), "--rule", "candor", "--rule", "static", "--json"],
    )
    assert ablated.exit_code == 0, ablated.output
    table = json.loads(ablated.stdout)["ablation"]
    assert [r["rule"] for r in table] == ["candor", "static"]
    for what in ("scores", "instructions", "rules", "answers", "extended"):
        shown = CliRunner().invoke(app, ["show", str(tmp_path / "whole"), what])
        assert shown.exit_code == 0, shown.output
    for what in ("constitution", "examples", "figure", "model"):
        written = CliRunner().invoke(app, ["export", str(tmp_path / "whole"), what, "--json"])
        assert written.exit_code == 0, written.output
        assert Path(json.loads(written.stdout)["path"]).exists()
    status = CliRunner().invoke(app, ["status", str(tmp_path / "whole"), "--json"])
    assert json.loads(status.stdout)["state"] == "finished"
    resumed = CliRunner().invoke(app, ["resume", str(tmp_path / "whole"), "--json"])
    assert resumed.exit_code == 0, resumed.output
    assert "no such part" in CliRunner().invoke(app, ["show", str(tmp_path / "whole"), "failures"]).output
    assert CliRunner().invoke(app, ["export", str(tmp_path / "whole"), "preferences"]).exit_code != 0


def seen(folder: Path, moment: str) -> bool:
    """Whether the run is in this step now, or past its start."""
    if not (folder / "run.sqlite").exists():
        return False
    try:
        with load_run(folder) as found:
            steps = found.events("step")
    except Exception:  # noqa: BLE001 - the database is being made
        return False
    return any(
        f"{e.fields['scope']}/{e.fields['name']}".startswith(moment) and e.fields["state"] != "reused"
        for e in steps[-3:]
    )
