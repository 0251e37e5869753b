"""The plan names the prompts that cannot be asked, with file and line; a stage alone leaves them out."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from iteralign.build import forecast as forecasts
from iteralign.build.forecast import forecast, short_of_disk
from iteralign.build.misfits import misfits
from iteralign.build.standalone import stage_finetune, stage_judge, stage_red_team
from iteralign.data.load import load_prompts
from iteralign.recipe.iteralign import Recipe
from iteralign.recipe.load import load_recipe
from iteralign.records.iteralign import Exchange
from iteralign.report.plan import plan_lines
from tiny_model import make_tokenizer

STRICT = (
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@pytest.fixture(scope="module")
def strict(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model whose template refuses a chat that opens with an answer."""
    folder = tmp_path_factory.mktemp("strict") / "model"
    shutil.copytree(tiny, folder)
    make_tokenizer(STRICT).save_pretrained(folder)
    return folder


def rows(folder: Path) -> Path:
    opening = [
        {"from": "gpt", "value": "Hello!"},
        {"from": "human", "value": "Which river?"},
        {"from": "gpt", "value": "The Nile."},
    ]
    made = [{"prompt": f"How do I {a} a {b}?", "topic": a} for a in ("fold", "mend") for b in "wxyz"]
    made.insert(2, {"prompt": "The river went on and on. " * 60, "topic": "story"})
    made.append({"conversations": opening})  # type: ignore[dict-item]
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in made))
    return file


def recipe_of(model: Path, file: Path) -> Recipe:
    made = load_recipe("smoke", [f"model.name={model}", f"red_team.source={file}", "red_team.limit=null"])
    assert isinstance(made, Recipe)
    return made


def test_the_plan_names_them_with_file_and_line(strict: Path, tmp_path: Path) -> None:
    file = rows(tmp_path)
    recipe = recipe_of(strict, file)
    plan = forecast(recipe)
    told = {m["where"]: m["why"].partition(":")[0] for m in plan["left_out"]}
    assert told == {
        f"{file}, line 3": "does not fit the context",
        f"{file}, line 10": "refused by the chat template",
    }
    page = "\n".join(plan_lines(plan, recipe.model_dump(mode="json")))
    assert "2 prompts, which the model cannot be asked" in page
    assert f"{file}, line 3: does not fit the context" in page
    assert "on at least 1 lesson" in page


def test_what_fits_after_a_change_is_asked(strict: Path, tmp_path: Path) -> None:
    recipe = recipe_of(strict, rows(tmp_path))
    prompts = load_prompts(recipe.red_team.source)
    assert len(misfits(recipe, prompts)) == 2
    tight = recipe.model_copy(update={"model": recipe.model.model_copy(update={"max_context": 70})})
    assert len(misfits(tight, prompts)) == len(prompts), "64 tokens are for the answer"


def test_a_stage_alone_leaves_them_out_and_names_them(
    strict: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = rows(tmp_path)
    recipe = recipe_of(strict, file)
    done = stage_red_team(recipe, tmp_path / "answers.jsonl")
    assert (done["prompts"], done["left_out"]) == (
        10,
        {"does not fit the context": 1, "refused by the chat template": 1},
    )
    assert f"{file}, line 3: left out: does not fit the context" in caplog.text
    written = [Exchange.from_json(json.loads(x)) for x in (tmp_path / "answers.jsonl").open()]
    assert len(written) == 8
    assert sum(stage_judge(recipe, tmp_path / "answers.jsonl", tmp_path / "judged")["labels"].values()) == 8


def test_an_example_that_the_template_changes_is_left_out_of_a_training(
    tiny: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    splits = (
        "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'].split('</think>')[-1] }}"
        "{% if '</think>' not in m['content'] %}<|end|>\n{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    folder = tmp_path / "model"
    shutil.copytree(tiny, folder)
    make_tokenizer(splits).save_pretrained(folder)
    texts = [*(f"Take a square sheet {i}." for i in range(5)), "A hat.</think> A square hat."]
    file = tmp_path / "lessons.jsonl"
    file.write_text(
        "".join(
            json.dumps(
                {
                    "prompt": [{"role": "user", "content": "How do I fold it?"}],
                    "completion": [{"role": "assistant", "content": text}],
                }
            )
            + "\n"
            for text in texts
        )
    )
    done = stage_finetune(recipe_of(folder, rows(tmp_path)), file, tmp_path / "out")
    assert (done["examples"], done["left_out"]) == (6, {"changed by the chat template": 1})
    assert "1 of 6 examples are left out" in caplog.text


def test_a_disk_that_is_too_small_is_told_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_recipe("smoke")
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(forecasts.shutil, "disk_usage", lambda path: usage(10**12))
    assert short_of_disk(recipe, tmp_path / "not" / "there" / "yet") is None
    monkeypatch.setattr(forecasts.shutil, "disk_usage", lambda path: usage(5_000_000))
    told = short_of_disk(recipe, tmp_path / "run")
    assert told is not None
    assert "and 5 MB are free" in told
    lines = plan_lines(forecast(recipe) | {"disk_free": 5_000_000}, recipe.model_dump(mode="json"))
    assert any("(5 MB free: too little if the run needs all of it)" in line for line in lines)


def test_kept_adapters_are_forecast_as_what_they_are(tmp_path: Path) -> None:
    lora = ["training.method=lora", "training.keep_adapter=true"]
    assert (
        forecast(load_recipe("smoke", lora))["disk_bytes"] < forecast(load_recipe("smoke"))["disk_bytes"] / 5
    )
