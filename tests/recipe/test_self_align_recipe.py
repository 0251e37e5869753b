"""Recipes of Self-Align: shipped ones load, the methods do not take each other's, mistakes are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from iteralign.errors import RecipeError
from iteralign.recipe.iteralign import Recipe
from iteralign.recipe.load import headlines, load_recipe, method_of, parse, shipped
from iteralign.recipe.self_align import SelfAlignRecipe
from iteralign.recipe.yaml import read


@pytest.mark.parametrize("name", sorted(shipped("self-align")))
def test_a_shipped_recipe_says_how_it_starts_and_reads_back(name: str) -> None:
    text = shipped("self-align")[name]
    assert text.splitlines()[0].startswith("# iteralign self-align")
    assert headlines("self-align")[name]
    found = load_recipe(name, kind=SelfAlignRecipe)
    assert found.name == name
    assert parse(read(found.to_yaml(), "again").data, "again", SelfAlignRecipe) == found


def test_the_two_methods_do_not_take_each_others_recipes(tmp_path: Path) -> None:
    assert not set(shipped()) & set(shipped("self-align"))
    with pytest.raises(RecipeError, match="iteralign self-align embedded-self-align"):
        load_recipe("embedded-self-align")
    with pytest.raises(RecipeError, match="iteralign run embedded"):
        load_recipe("embedded", kind=SelfAlignRecipe)
    mine = tmp_path / "mine.yaml"
    mine.write_text("name: mine\nmethod: self-align\n", encoding="utf-8")
    assert method_of(mine.read_text(encoding="utf-8")) == "self-align"
    with pytest.raises(RecipeError, match="method self-align"):
        load_recipe(mine)
    assert load_recipe(mine, kind=SelfAlignRecipe).name == "mine"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("self_instruct.promts=3", "self_instruct.promts.*no such key.*prompts"),
        ("align.leak_words=1", "align.leak_words"),
        ("assistant=<b>", "assistant"),
        ("self_instruct.threshold=2", "self_instruct.threshold"),
    ],
)
def test_mistakes_are_named(override: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe("smoke-self-align", [override], kind=SelfAlignRecipe)


def test_a_server_takes_no_penalty_on_repeated_tokens() -> None:
    served = ["model.engine=server", "model.base_url=http://localhost:1/v1"]
    with pytest.raises(RecipeError, match=r"clone\.ngram_penalty = 0"):
        load_recipe("self-align-7b", served, kind=SelfAlignRecipe)
    assert (
        load_recipe("self-align-7b", [*served, "clone.ngram_penalty=0"], kind=SelfAlignRecipe).model.engine
        == "server"
    )


def test_what_both_methods_share_is_one_recipe() -> None:
    mine = load_recipe("smoke-self-align", kind=SelfAlignRecipe)
    loop = mine.loop(mine.clone.training)
    assert isinstance(loop, Recipe)
    undecided = mine.evaluation.model_copy(update={"test_share": 0.0})  # no gate: all held-out prompts report
    assert (loop.model, loop.oracle, loop.evaluation, loop.training) == (
        mine.model,
        mine.oracle,
        undecided,
        mine.clone.training,
    )
    assert SelfAlignRecipe().method == "self-align"
