"""From a recipe to vLLM and Ray: what is missing is told before anything is made, nothing starts early."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from iteralign import align
from iteralign.build import installed
from iteralign.build.models import host
from iteralign.build.oracle import chat_endpoints, oracle
from iteralign.build.ray import replica
from iteralign.build.vllm import settings_of
from iteralign.engines.hf.host import HFHost
from iteralign.engines.ray.host import RayHost
from iteralign.engines.vllm.host import VLLMHost
from iteralign.engines.vllm.judging import VLLMChat
from iteralign.engines.vllm.policy import VLLMPolicy
from iteralign.errors import EngineError, RecipeError
from iteralign.recipe.load import load_recipe
from iteralign.recipe.self_align import SelfAlignRecipe
from iteralign.records.chat import Message, SamplingParams
from iteralign.records.iteralign import Checkpoint
from iteralign.report.plan import _model


@pytest.mark.parametrize(
    ("engine", "remedy"),
    [
        ("model.engine=vllm", r"pip install 'iteralign\[vllm\]'.*model\.engine_python"),
        ("oracle.engine=vllm", r"pip install 'iteralign\[vllm\]'"),
        ("model.engine=ray", r"model\.engine = ray needs ray.*pip install 'iteralign\[ray\]'"),
    ],
)
def test_what_is_missing_is_told_with_its_extra_before_a_directory_is_made(
    engine: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = installed._is_there
    monkeypatch.setattr(installed, "_is_there", lambda name: name != "ray" and there(name))
    judge = ["oracle.kind=local", "oracle.model=organism"] if engine.startswith("oracle") else []
    with pytest.raises(EngineError, match=remedy):
        align("smoke", tmp_path / "run", overrides=[*judge, engine])
    assert not (tmp_path / "run").exists()


def test_a_cloning_that_is_off_asks_for_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "_is_there", lambda name: name != "torchao")
    asked = ["clone.training.optimizer=adamw-8bit"]
    on, off = (
        load_recipe("smoke-self-align", [*asked, f"clone.enabled={x}"], kind=SelfAlignRecipe)
        for x in ("true", "false")
    )
    with pytest.raises(EngineError, match=r"needs torchao.*pip install 'iteralign\[lowbit\]'"):
        installed.must_be_installed(on, training=True)
    installed.must_be_installed(off, training=True)


def test_engines_are_made_of_their_words_and_nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iteralign.build.vllm.find", lambda settings: None)
    monkeypatch.setattr(installed, "_is_there", lambda name: True)
    sets = ["training.method=lora", "training.lora_r=12", 'model.engine_args={"tensor-parallel-size": 2}']
    served = load_recipe("smoke", ["model.engine=vllm", *sets])
    assert isinstance(host(served), VLLMHost)
    assert settings_of(served, "model").rank == 12
    assert settings_of(served, "model").arguments == {"tensor-parallel-size": 2}
    assert settings_of(load_recipe("smoke", ["model.engine=vllm"]), "model").rank is None
    spread = host(load_recipe("smoke", ["model.engine=ray", "model.ray.replicas=3"]))
    assert isinstance(spread, RayHost)
    assert isinstance(replica(spread._given, lambda c: c.path, print), HFHost)
    assert _model(served.model.model_dump()) == "organism (vLLM, in a process of its own)"


@pytest.mark.parametrize(("kind", "inner"), [("chat", VLLMChat), ("local", VLLMPolicy)])
def test_a_judge_in_vllm_is_no_endpoint_of_others(kind: str, inner: Any) -> None:
    recipe = load_recipe("smoke", [f"oracle.kind={kind}", "oracle.engine=vllm", "oracle.model=organism"])
    judge: Any = oracle(recipe, print)
    assert chat_endpoints(recipe) == []  # no key, no price, no question before the run
    assert any(isinstance(v, inner) for v in (*vars(judge).values(), *vars(judge._judge).values()))
    assert settings_of(recipe, "oracle").structured == (kind == "chat")


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["model.engine_args={enforce-eager: true}"], "model.engine = 'hf' does not use it"),
        (
            ["model.engine=vllm", "model.engine_args={trust-remote-code: true}"],
            "not an argument that may be given",
        ),
        (
            ["model.engine=vllm", "model.engine_args={quantization: '/x; y'}"],
            "quantization = '/x; y': it must be a word",
        ),
        (
            ["model.engine=vllm", "model.engine_args={quantization: --trust-remote-code}"],
            "begins with a letter or a digit",
        ),
        (
            ["model.engine=vllm", "model.engine_args={enforce-eager: --trust-remote-code}"],
            "it must be a switch, `true` or `false`",
        ),
        (
            ["model.engine=vllm", "model.engine_args={tensor-parallel-size: true}"],
            "it must be a whole number >= 0",
        ),
        (
            ["model.engine=vllm", "model.engine_args={gpu-memory-utilization: -1}"],
            "it must be a number >= 0",
        ),
        (["oracle.engine=vllm"], "oracle.kind = 'embedded' has none"),
        (
            ["oracle.engine=vllm", "oracle.kind=chat", "oracle.model=m", "oracle.base_url=http://h/v1"],
            "unset one of",
        ),
        (["oracle.engine=vllm", "oracle.kind=chat", "oracle.model=m", "oracle.proposer=n"], "unset one of"),
        (["model.engine=ray", "model.ray.cluster=ray://elsewhere:10001"], "it must be `auto` or `local`"),
    ],
)
def test_what_an_engine_does_not_take_is_refused(sets: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe("smoke", sets)


# ---- a Python that a recipe names


def program(folder: Path) -> Path:
    """A file that is named as a Python is, and leaves a trace when it is run."""
    found = folder / "python3"
    found.write_text(f"#!/bin/sh\ntouch {folder}/was-run\n")
    found.chmod(0o755)
    return found


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(installed, "_is_there", lambda name: True)
    path = tmp_path / "foreign.yaml"
    python = str(program(tmp_path))
    path.write_text(json.dumps({"name": "foreign", "model": {"engine": "vllm", "engine_python": python}}))
    return path


@pytest.mark.parametrize("more", [{}, {"model.engine": "ray", "model.ray.engine": "vllm"}])
def test_a_python_of_a_recipe_from_elsewhere_is_not_run_unasked(
    foreign: Path, tmp_path: Path, more: dict[str, str]
) -> None:
    for recipe in (foreign, load_recipe(foreign)):
        given = more if recipe == foreign else {}
        with pytest.raises(RecipeError, match=r"Nothing was run.*--set model\.engine_python") as error:
            align(recipe, tmp_path / "run", overrides=given)
        assert error.value.exit_code == 2
    with pytest.raises(RecipeError, match="Nothing was run"):
        host(load_recipe(foreign, [f"{k}={v}" for k, v in more.items()]))
    assert not (tmp_path / "was-run").exists()


def test_a_python_that_the_user_typed_runs_and_is_remembered(
    foreign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python3"
    monkeypatch.chdir(tmp_path)
    for given in (
        {"model.engine_python": "./python3"},
        {},
    ):  # as a run that goes on has it: without the option
        with pytest.raises(EngineError, match="does not say what it holds"):
            align(foreign, tmp_path / "run", overrides=given)
        (tmp_path / "was-run").unlink()
    other = tmp_path / "b" / "python3"
    other.parent.mkdir()
    shutil.copy(python, other)
    with pytest.raises(RecipeError, match="Nothing was run"):
        host(load_recipe(foreign, [f"model.engine_python={other}"]))
    monkeypatch.setenv("ITERALIGN_ENGINE_PYTHON", str(other))
    with pytest.raises(EngineError, match="does not say what it holds"):
        host(load_recipe(foreign, [f"model.engine_python={other}"]))


# ---- replicas on machines with another current folder


def test_replicas_get_absolute_places_and_the_probe_of_the_base(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installed, "_is_there", lambda name: True)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny, "model")
    turn = "{{ m.content }}{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}"
    Path("t.jinja").write_text("{% for m in messages %}" + turn + "{% endfor %}")
    (tmp_path / "organism").mkdir()  # the embedded model is no folder of this name
    sets = ["model.engine=ray", "model.name=model", "model.chat_template=t.jinja"]
    spread = host(load_recipe("smoke", sets), expected={"float32": -1000.0})
    assert isinstance(spread, RayHost)
    given = spread._given["recipe"]["model"]
    assert (given["name"], given["chat_template"]) == (str(tmp_path / "model"), str(tmp_path / "t.jinja"))
    other = host(load_recipe("smoke", ["model.engine=ray"]))
    assert isinstance(other, RayHost)
    assert other._given["recipe"]["model"]["name"] == "organism"
    one = replica(spread._given, lambda c: c.path, print)
    base = Checkpoint(path=str(tmp_path / "model"))
    with (
        one.serve(base) as policy,
        pytest.raises(EngineError, match=r"those where the run was started -1000"),
    ):
        policy.generate([(Message("user", "What is a hat?"),)], SamplingParams(max_new_tokens=2))
