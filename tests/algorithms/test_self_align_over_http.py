"""Self-Align on a served model: all answers over HTTP, the adapters of both trainings handed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from iteralign.build.forecast import forecast
from iteralign.build.run import start
from iteralign.errors import RecipeError
from iteralign.organism import PATHS, RULES
from iteralign.recipe.load import load_recipe
from iteralign.recipe.self_align import SelfAlignRecipe
from model_server import ModelServer, serving

pytest.importorskip("trl")

SETS = (
    "model.engine=server",
    "model.served_as=tiny",
    "model.concurrency=4",
    "self_instruct.prompts=6",
    "self_instruct.round=2",
    "topics.rounds=0",
    "evaluation.harm_limit=3",
    "evaluation.over_refusal_limit=3",
    "engrave.training.keep_adapter=true",
)
CLONED = "clone.training.keep_adapter=true"


def test_a_served_model_must_be_able_to_take_both_adapters() -> None:
    settings = [*SETS, "model.base_url=http://localhost:1/v1", "clone.training.keep_adapter=false"]
    recipe = load_recipe("smoke-self-align", settings, kind=SelfAlignRecipe)
    with pytest.raises(RecipeError, match=r"clone\.training\.keep_adapter"):
        forecast(recipe)


@pytest.mark.slow
def test_the_four_stages_over_http(tmp_path: Path) -> None:
    server: ModelServer
    with serving(PATHS[RULES]) as server:
        server.max_model_len = 2048
        settings = [*SETS, CLONED, f"model.base_url={server.url}"]
        recipe = load_recipe("smoke-self-align", settings, kind=SelfAlignRecipe)
        result = start(recipe, tmp_path / "run")
        assert [m.stage for m in result.models] == ["base", "engraved", "cloned"]
        assert [m.checkpoint.adapter for m in result.models] == [False, True, True]
        assert result.aligned.kept >= 4
        asked = {body["model"] for path, body in server.requests if path.endswith("completions")}
        assert len(asked) == 3, "the base and two adapters have answered"
        count = len(server.requests)
        again = start(recipe, tmp_path / "run")
        assert again == result
        assert len(server.requests) - count < 12, "a finished run only looks who is there"
