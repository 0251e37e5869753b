"""Recipes: strict types, every error with its place, overrides, and a text that reads back equal."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iteralign.canonical import to_json
from iteralign.errors import RecipeError
from iteralign.recipe.iteralign import Recipe
from iteralign.recipe.load import changes, headlines, load_recipe, parse, shipped
from iteralign.recipe.messages import allowed, keys
from iteralign.recipe.yaml import dump, override, read

ROOT = Path(__file__).parents[2]


def wrong(text: str, tmp_path: Path, *overrides: str) -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, overrides)
    return str(caught.value)


# ---- shipped recipes


@pytest.mark.parametrize("name", sorted(shipped()))
def test_a_shipped_recipe_loads_and_opens_with_the_command_that_runs_it(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    first, second, *_ = shipped()[name].splitlines()
    assert first == f"# iteralign run {name}"
    assert second.startswith("# ")
    assert headlines()[name]
    assert load_recipe(shlex.split(first.removeprefix("# "))[2]) == recipe


def test_a_recipe_is_found_by_name_and_from_a_clone_by_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert load_recipe("recipes/embedded.yaml") == load_recipe("embedded") == load_recipe()


def test_the_paper_recipes_are_the_papers_set_up() -> None:
    papers = [load_recipe(n) for n in shipped() if n.startswith("paper-")]
    assert len(papers) >= 5
    for r in papers:
        assert (
            r.red_team.prompts_per_iteration,
            r.red_team.sampling.temperature,
            r.red_team.sampling.top_p,
        ) == (20, 0.7, 0.9)
        assert (r.training.method, r.training.learning_rate, r.training.epochs) == ("full", 2e-6, 3)
        assert [r.consolidate.enabled, r.screen.enabled, r.accept.enabled] == [False] * 3
        assert (r.replay.revisions, r.replay.benign, r.replay.acceptable) == (0, 0, 0)
        assert r.oracle.model == "gpt-3.5-turbo"


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"Did you mean 'embedded'\? Known recipes: embedded, huggingface"):
        load_recipe("embeded")


def test_a_file_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(tmp_path / "r.yaml")


# ---- what is wrong, and where


def test_an_empty_recipe_and_empty_sections_are_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("training:\nred_team:\n  sampling:\n", encoding="utf-8")
    assert load_recipe(tmp_path / "r.yaml") == Recipe()
    (tmp_path / "r.yaml").write_text("", encoding="utf-8")
    assert load_recipe(tmp_path / "r.yaml") == Recipe()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trainng: {}", "trainng ({file}, line 1): no such key. Did you mean 'training'?"),
        (
            "training:\n  lerning_rate: 1",
            "training.lerning_rate ({file}, line 2): no such key. Did you mean 'training.learning_rate'?",
        ),
        (
            "learning_rate: 1",
            "learning_rate ({file}, line 1): no such key. Did you mean 'training.learning_rate'?",
        ),
        (
            "red_team: {sampling: {top_pp: 1}}",
            "red_team.sampling.top_pp ({file}, line 1): no such key. Did you mean 'red_team.sampling.top_p'?",
        ),
        (
            "\ntraining: {method: loar}",
            "training.method = 'loar' ({file}, line 2): it must be one of `full`, `lora`, `qlora`. Did you "
            "mean 'lora'?",
        ),
        ("training: {epochs: 0}", "training.epochs = 0 ({file}, line 1): it must be a whole number >= 1"),
        ("training: {epochs: 1.5}", "training.epochs = 1.5 ({file}, line 1): it must be a whole number >= 1"),
        (
            "training: {epochs: true}",
            "training.epochs = True ({file}, line 1): it must be a whole number >= 1",
        ),
        ("training: {epochs: '2'}", "training.epochs = '2' ({file}, line 1): it must be a whole number >= 1"),
        (
            "training: {learning_rate: .inf}",
            "training.learning_rate = inf ({file}, line 1): it must be a number > 0",
        ),
        (
            "red_team: {held_out: 1}",
            "red_team.held_out = 1 ({file}, line 1): it must be a number > 0 and < 1",
        ),
        (
            "red_team: {limit: 0}",
            "red_team.limit = 0 ({file}, line 1): it must be a whole number >= 1, or `null`",
        ),
        (
            "screen: {enabled: yes}",
            "screen.enabled = 'yes' ({file}, line 1): it must be `true` or `false` (yes, no, on and off "
            "are text)",
        ),
        ("model: {name: ''}", "model.name = '' ({file}, line 1): it must not be empty"),
        ("name: ../up", "name = '../up' ({file}, line 1): names the run: letters, digits, `.`, `_` and `-`"),
        (
            "stop: 3",
            "stop = 3 ({file}, line 1): it is a section; set one of its keys: stop.iterations, "
            "stop.target_harm, stop.patience",
        ),
        ("seed: 1\nseed: 2", "seed ({file}, line 2): given twice, first in line 1; keep one"),
        (
            "oracle:\n  kind: chat",
            "oracle.kind = 'chat' needs oracle.model, the name of the chat model that judges ({file}, line "
            "2)",
        ),
        ("- 1", "{file}, line 1: sections and keys are expected (`seed: 0`), found a list"),
        ("a: [", "{file}, line 1: not YAML: expected the node content, but found '<stream end>'"),
        ("a: !!python/name:os.system x", "could not determine a constructor"),
        ("a: &a\n  b: *a", "{file}, line 2: 'a' stands inside itself"),
        ("a: \x00", "{file}, line 1: a control character"),
    ],
)
def test_an_error_names_key_value_place_and_remedy(tmp_path: Path, text: str, message: str) -> None:
    assert message.format(file=tmp_path / "mine.yaml") in wrong(text, tmp_path)


def test_all_errors_are_told_at_once(tmp_path: Path) -> None:
    found = wrong(
        "sed: 1\nseed: x\nseed: 2\ntraining: {epochs: 0}\n",
        tmp_path,
        "stop.iterations=many",
        "stop.patence=1",
        "seed.deep=1",
    ).splitlines()
    assert found[0] == "7 things are wrong:"
    assert len(found) == 8
    assert sum("--set" in line for line in found) == 3


def test_an_error_in_an_override_names_the_override(tmp_path: Path) -> None:
    assert wrong("seed: 1", tmp_path, "seed=-1").startswith("seed = -1 (--set seed=-1): it must be")
    assert "(--set oracle.kind=chat)" in wrong("oracle: {batch: 2}", tmp_path, "oracle.kind=chat")
    assert "seed has a value of its own" in wrong("seed: 1", tmp_path, "seed.x=1")
    assert "'training'" in wrong("", tmp_path, "trainin.epochs=1")


@pytest.mark.parametrize("text", ["seed", "=1", "a..b=1", "seed='1"])
def test_an_override_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match="--set"):
        load_recipe("embedded", [text])


# ---- values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2e-6", 2e-6), ("3", 3), ("010", 10), ("-1.5", -1.5), ("true", True), ("null", None), ("", None),
        ("yes", "yes"), ("off", "off"), ("1_000", "1_000"), ("0x1F", "0x1F"), ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"), ("http://h:8/v1 # x", "http://h:8/v1 # x"),
        ("'3'", "3"), ('"a\\tb"', "a\tb"), ("a: b", "a: b"), ("[1]", [1]),
    ],
)  # fmt: skip
def test_a_value_is_read_as_yaml_1_2_has_it(text: str, value: Any) -> None:
    found = override(f"a.b={text}").value
    assert (found, type(found)) == (value, type(value))


def test_prices_are_set_in_braces_because_model_names_hold_dots() -> None:
    recipe = load_recipe("embedded", ['budget.prices={"gpt-4.1": {input: 2, output: 8.0}}', "budget.cost=5"])
    assert recipe.budget.prices["gpt-4.1"].output == 8
    with pytest.raises(RecipeError, match=r"budget.prices.m.input .*must be names with `input`"):
        load_recipe("embedded", ["budget.prices={m: {input: cheap, output: 1}}"])
    with pytest.raises(RecipeError, match=r"--set budget.prices=\{m: .*not YAML"):
        load_recipe("embedded", ["budget.prices={m: "])


@pytest.mark.parametrize(
    "url", ["https://me:secret@host/v1", "https://host/v1?api-key=secret", "https://token@host/v1"]
)
def test_a_url_with_a_secret_is_refused_for_recipes_are_stored(url: str) -> None:
    with pytest.raises(RecipeError, match=r"oracle.base_url holds a user.*api_key_env"):
        load_recipe("embedded", [f"oracle.base_url={url}"])
    with pytest.raises(RecipeError, match=r"oracle.jurors.a.base_url holds a user"):
        load_recipe("embedded", [f'oracle.jurors={{a: {{model: x, base_url: "{url}"}}}}'])


def test_the_last_override_of_a_key_wins() -> None:
    recipe = load_recipe(
        "embedded", ["seed=1", "training.learning_rate=2e-6", "seed=2", "red_team.limit=5", "red_team.limit="]
    )
    assert (recipe.seed, recipe.training.learning_rate, recipe.red_team.limit) == (2, 2e-6, None)


def test_changes_of_a_run_are_checked_and_nothing_but_the_changes() -> None:
    settings = json.loads(json.dumps(to_json(Recipe().model_dump(mode="json"))))
    assert changes(settings, ["stop.iterations=7"], "the run") == {"stop": {"iterations": 7}}
    with pytest.raises(RecipeError, match=r"stop.iteration \(--set stop.iteration\): no such key"):
        changes(settings, ["stop.iteration=7"], "the run")


def test_a_gate_that_is_on_has_every_candidate_measured() -> None:
    remedy = (
        r"evaluation.every = 5: the gate decides .* set evaluation.every to 1, or .*accept.enabled: false"
    )
    with pytest.raises(RecipeError, match=remedy + r".*--set evaluation.every=5"):
        load_recipe("embedded", ["evaluation.every=5"])
    with pytest.raises(RecipeError, match=r"evaluation.every = 100: the gate"):
        load_recipe("paper-llama2-7b-hh-rlhf", ["accept.enabled=true"])
    assert load_recipe("embedded", ["evaluation.every=5", "accept.enabled=false"]).evaluation.every == 5


# ---- the resolved recipe


UNUSED = {
    "model.engine",
    "model.base_url",
    "model.served_as",
    "model.engine_args",
    "oracle.engine",
    "oracle.engine_args",
    "evaluation.every",
    "replay.sampling",
    *(f"training.{k}" for k in ("weights", "gpus", "strategy")),
    *(f"oracle.{k}" for k in ("kind", "model", "proposer", "base_url", "jurors")),
    *(f"oracle.{k}" for k in ("proposer_url", "family", "threshold")),
}
"""Keys that need others, or that others need."""


def _value(name: str, default: Any) -> st.SearchStrategy[Any]:
    field = dict(keys(Recipe))[name]
    words = allowed(field)
    if name == "oracle.jurors":
        return st.dictionaries(
            st.text(min_size=1), st.fixed_dictionaries({"model": st.text(min_size=1)}), max_size=3
        )
    if name == "propose.aspects":
        return st.sampled_from([["harm"], ["harm", "over_refusal"]])
    if name == "reflection.ladder":
        return st.lists(st.sampled_from(["retry", "other-principles", "other-form"]), min_size=1, max_size=3)
    if name in ("reflection.exemplars", "reflection.samples", "replay.samples"):
        return st.integers(1, 8)
    if name.endswith("columns"):
        texts = st.dictionaries(st.text(min_size=1), st.text(min_size=1), max_size=3)
        return st.dictionaries(st.text(min_size=1), texts, max_size=2) if "evaluation" in name else texts
    if words.startswith("names"):
        return st.dictionaries(
            st.text(min_size=1),
            st.fixed_dictionaries({"input": st.floats(0, 99), "output": st.floats(0, 99)}),
            max_size=3,
        )
    if "`" in words.removesuffix(", or `null`"):
        words = words.removesuffix(", or `null`")
        options = [w.strip("` ") for w in words.removeprefix("one of ").replace(" or ", ",").split(",")]
        return st.sampled_from([{"true": True, "false": False}.get(o, o) for o in options])
    if words.startswith("a whole number"):
        return st.integers(8, 10_000)
    if words.startswith("a number"):
        return st.floats(0.01, 0.99)
    if name == "name":
        return st.from_regex(r"[a-z][a-z0-9._-]{0,8}", fullmatch=True)
    if name in ("evaluation.tasks", "evaluation.lm_eval"):
        return st.lists(st.text(min_size=1), max_size=3)
    if name.endswith("api_key_env"):
        return st.from_regex(r"[A-Z_][A-Z0-9_]{0,9}", fullmatch=True)
    if name.endswith("base_url"):
        return st.from_regex(
            r"https?://[a-z0-9]{1,9}(:[1-9][0-9]{1,3})?(/[a-z0-9]{0,5}){0,2}", fullmatch=True
        )
    return st.text(min_size=1) | st.sampled_from(
        ["yes", "1e5", "0x1", "null", "~", "2026-01-01", "a: b", "'", "\x85", "=", "<<"]
    )


@given(st.data())
def test_a_resolved_recipe_reads_back_equal(data: st.DataObject) -> None:
    names = data.draw(
        st.lists(st.sampled_from([k for k, _ in keys(Recipe) if k not in UNUSED]), unique=True, max_size=12)
    )
    made: dict[str, Any] = {}
    for name in names:
        *sections, last = name.split(".")
        inner = made
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[last] = data.draw(_value(name, None))
    recipe = Recipe.model_validate(made)
    text = recipe.to_yaml()
    assert parse(read(text, "x").data, "x") == recipe
    assert Recipe.model_validate(json.loads(json.dumps(to_json(recipe.model_dump(mode="json"))))) == recipe


@given(
    st.dictionaries(
        st.text(), st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
    )
)
def test_what_is_dumped_reads_back(data: dict[str, Any]) -> None:
    assert read(dump(data), "x").data == data


@given(st.text())
def test_any_text_is_a_recipe_or_a_recipe_error(text: str) -> None:
    with contextlib.suppress(RecipeError):  # anything else is a failure
        parse(read(text, "x").data, "x")


def test_a_recipe_cannot_be_changed_after_it_was_checked() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Recipe().training.epochs = 5  # type: ignore[misc]


# ---- the reference


def test_every_key_is_described() -> None:
    for name, field in keys(Recipe):
        assert field.description, name
        assert allowed(field), name


def test_the_reference_is_up_to_date() -> None:
    from iteralign.report.recipe_reference import reference

    assert (ROOT / "docs" / "recipe.md").read_text(encoding="utf-8") == reference(), "run `make docs`"


# ---- the recipes of the pages


@pytest.mark.parametrize(
    "block",
    re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "oracles.md").read_text(encoding="utf-8"), re.DOTALL),
)
def test_every_recipe_of_the_oracles_page_is_a_recipe(block: str, tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(block, encoding="utf-8")
    recipe = load_recipe(file)
    assert recipe.oracle.kind != "embedded" or recipe.model.engine == "server"
