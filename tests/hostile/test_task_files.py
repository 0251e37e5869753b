"""Task files of lm-eval from others: what would run as Python is refused, or reaches nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from confined import is_one_message
from iteralign.build.evals import tasks
from iteralign.build.models import host
from iteralign.cli.main import app
from iteralign.errors import DataError, RecipeError
from iteralign.evals.lm_harness import Harness
from iteralign.recipe.load import load_recipe
from iteralign.records.iteralign import Checkpoint
from memory import Memory

pytest.importorskip("lm_eval")

TASK = """task: own
dataset_path: json
dataset_kwargs:
  data_files:
    test: {data}
test_split: test
output_type: multiple_choice
doc_to_text: {text}
doc_to_choice: choices
doc_to_target: gold
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
"""
PYTHON = (
    "from pathlib import Path\nPath(__file__).with_name('effect').touch()\n\ndef f(*a, **k):\n    return 1\n"
)
FUNCTION = "task: own\ndataset_path: json\nprocess_results: !function evil.f\n"
FILES: dict[str, tuple[dict[str, str], str]] = {
    "a function": ({"own.yaml": FUNCTION}, "own.yaml, line 3"),
    "a quoted tag": ({"own.yaml": 'task: own\ndoc_to_text: !function "evil.f"\n'}, "own.yaml, line 2"),
    "a tag spelled out": ({"own.yaml": "task: own\nclass: !<!function> evil.f\n"}, "own.yaml, line 2"),
    "a list of functions": (
        {"own.yaml": "task: own\nfilter_list:\n- !function evil.f\n"},
        "own.yaml, line 3",
    ),
    "an include": (
        {"own.yaml": "task: own\ninclude: base.yaml\n", "base.yaml": FUNCTION},
        "base.yaml, line 3",
    ),
    "an include of an include": (
        {"own.yaml": "task: own\ninclude: b.yaml\n", "b.yaml": "include: c.yaml\n", "c.yaml": FUNCTION},
        "c.yaml, line 3",
    ),
    "a group": (
        {"own.yaml": "group: own\ntask:\n- inner\n", "in.yaml": FUNCTION.replace("own", "inner")},
        "in.yaml, line 3",
    ),
    "another file of that name": (
        {"own.yaml": "task: own\ndataset_path: json\n", "below/z.yml": FUNCTION},
        "z.yml, line 3",
    ),
    "a metric that is a script": (
        {"own.yaml": "task: own\nmetric_list:\n- metric: ./evil\n"},
        "own.yaml, line 3: lm-eval has no metric './evil'",
    ),
    "a metric with the name of a file": (
        {"own.yaml": "task: own\nmetric_list: [{metric: evil}]\n"},
        "own.yaml, line 2: lm-eval has no metric 'evil'",
    ),
    "a metric of a library": (
        {"own.yaml": "task: own\nmetric_list:\n- metric: f1\n  hf_evaluate: true\n"},
        "own.yaml, line 4: hf_evaluate",
    ),
}


def written(files: dict[str, str], folder: Path) -> Path:
    for name, text in {**files, "evil.py": PYTHON}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder / "own.yaml"


@pytest.mark.parametrize(("files", "said"), FILES.values(), ids=FILES.keys())
def test_a_file_that_would_run_python_is_refused(files: dict[str, str], said: str, tmp_path: Path) -> None:
    file = written(files, tmp_path)
    with pytest.raises(RecipeError) as told:
        tasks(load_recipe("smoke", [f"evaluation.lm_eval=[{file}]"]))
    assert said in str(told.value)
    assert "evaluation.lm_eval_code: true" in str(told.value)
    assert "--trust-task-code" in str(told.value)
    assert not list(tmp_path.rglob("effect"))
    trusted = load_recipe("smoke", [f"evaluation.lm_eval=[{file}]", "evaluation.lm_eval_code=true"])
    assert [t.name for t in tasks(trusted)] == ["lm-eval:own"]


def test_the_command_refuses_it_before_it_makes_a_directory(tmp_path: Path) -> None:
    file = written({"own.yaml": FUNCTION}, tmp_path)
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["evaluate", "--tasks", f"lm-eval:{file}", "--out", str(out)])
    assert done.exit_code == 2, done.output
    assert is_one_message(done.stderr, file, "line 3")
    assert not out.exists()


TEMPLATES = {
    "attributes of a class": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "globals of a helper": "{{ cycler.__init__.__globals__.os.system('touch EFFECT') }}",
    "names that are put together": "{{ cycler['__in' ~ 'it__']['__glo' ~ 'bals__'].os.getcwd() }}",
    "a filter": "{{ cycler|attr('__init__')|attr('__globals__') }}",
    "numbers without end": "{{ range(10**10)|list }}",
}


@pytest.mark.bombs
@pytest.mark.parametrize("text", TEMPLATES.values(), ids=TEMPLATES.keys())
def test_a_template_reaches_nothing_of_python(text: str, tmp_path: Path, tiny: Path) -> None:
    data, effect = tmp_path / "rows.jsonl", tmp_path / "effect"
    data.write_text(json.dumps({"q": "A?", "choices": ["a", "b"], "gold": 0}) + "\n")
    file = tmp_path / "own.yaml"
    spelled = json.dumps(text.replace("EFFECT", str(effect)))
    file.write_text(TASK.format(data=json.dumps(str(data)), text=spelled))
    recipe = load_recipe("smoke", [f"model.name={tiny}", "model.device=cpu"])
    with (
        host(recipe, lambda c: c.path).serve(Checkpoint(path=str(tiny))) as policy,
        pytest.raises(DataError, match="lm-eval:own: lm-eval could not run it"),
    ):
        Harness(str(file)).run(policy, Memory())
    assert not effect.exists()
