"""From a recipe to replicas of an engine on a Ray cluster.

A part of the composition root: decides nothing about the method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from iteralign.build.consent import consent, python_must_be_allowed
from iteralign.engines.facts import Began, no_run
from iteralign.engines.ray.host import Cluster, RayHost, absolute
from iteralign.organism import PATHS
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
    if model.ray.engine == "vllm":
        python_must_be_allowed(model.engine_python)
    # the current folder is the driver's alone
    places = {"name": _seen_by_all(model.name), "chat_template": _seen_by_all(model.chat_template)}
    alone = model.model_copy(update={"engine": model.ray.engine, "ray": type(model.ray)(), **places})
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


def _seen_by_all(place: str | None) -> str | None:
    """A file or folder by its absolute path; a name of the hub or of an embedded model as it is."""
    return place if place is None or place in PATHS else absolute(place)


def replica(given: Mapping[str, Any], locate: Any, warn: Any) -> PolicyHost:
    """Return the engine of one replica, on the machine where it is called."""
    from iteralign.build.models import host

    recipe = recipe_of(given["recipe"])
    assert isinstance(recipe, Recipe)
    with consent() as said:  # the driver asked before it came here
        said.typed("model.engine_python", recipe.model.engine_python)
        return host(recipe, locate, warn, expected=given["expected"])
