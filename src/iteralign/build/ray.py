"""From a recipe to replicas of an engine on a Ray cluster.

A part of the composition root: decides nothing about the method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from iteralign.engines.facts import Began, no_run
from iteralign.engines.ray.host import Cluster, RayHost
from iteralign.protocols import PolicyHost
from iteralign.recipe.iteralign import Recipe
from iteralign.recipe.load import recipe_of
from iteralign.records.iteralign import Checkpoint

Locate = Callable[[Checkpoint], str]


def ray_host(
    recipe: Recipe,
    locate: Locate,
    warn: Callable[[str], None],
    since: Began = no_run,
    expected: dict[str, float] | None = None,
) -> RayHost:
    """Return what serves the model from replicas."""
    model = recipe.model
    alone = model.model_copy(update={"engine": model.ray.engine, "ray": type(model.ray)()})
    own = recipe.model_copy(update={"model": alone}).model_dump(mode="json")
    given = {"recipe": own, "expected": expected}
    return RayHost(
        Cluster(**model.ray.model_dump(exclude={"engine"})),
        replica,
        given,
        rows=model.batch_size,
        chat_template=model.chat_template,
        dtype=model.dtype,
        locate=locate,
        warn=warn,
        began=since,
    )


def replica(given: Mapping[str, Any], locate: Any, warn: Any) -> PolicyHost:
    """Return the engine of one replica, on the machine where it is called."""
    from iteralign.build.models import host

    recipe = recipe_of(given["recipe"])
    assert isinstance(recipe, Recipe)
    return host(recipe, locate, warn, expected=given["expected"])
