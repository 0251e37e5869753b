"""From a recipe to vLLM in a process of its own: for the model that is aligned, and for what judges it.

A part of the composition root: decides nothing about the method.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from iteralign.build.consent import python_must_be_allowed
from iteralign.engines.facts import Began, no_run
from iteralign.engines.vllm.host import VLLMHost
from iteralign.engines.vllm.settings import Settings, find
from iteralign.protocols import Continuing
from iteralign.recipe.iteralign import Recipe
from iteralign.records.iteralign import Checkpoint

Locate = Callable[[Checkpoint], str]


def must_be_found(recipe: Recipe) -> None:
    """Check that vLLM is installed where the recipe says, in a Python that may run.

    Raises ``EngineError`` with the remedy, and ``RecipeError`` for a Python that nobody confirmed.
    """
    python_must_be_allowed(recipe.model.engine_python)
    find(settings_of(recipe, "model"))


def settings_of(recipe: Recipe, section: Literal["model", "oracle"]) -> Settings:
    """How the engine of a section is started."""
    model = recipe.model
    own = model if section == "model" else recipe.oracle
    training = recipe.training
    trains = section == "model" and training.method != "full" and training.keeps(None, served=True)
    return Settings(
        python=model.engine_python,
        device=model.device,
        dtype=own.dtype,
        rows=model.batch_size,
        context=model.max_context if section == "model" else None,
        rank=training.lora_r if trains else None,
        structured=section == "oracle" and recipe.oracle.kind == "chat",
        arguments=dict(own.engine_args),
        timeout=max(600.0, own.timeout),
    )


def policy_host(
    recipe: Recipe,
    locate: Locate,
    warn: Callable[[str], None],
    since: Began = no_run,
    expected: tuple[str, dict[str, float]] | None = None,
) -> VLLMHost:
    """Return what serves the model that is aligned."""
    return VLLMHost(
        settings_of(recipe, "model"),
        chat_template=recipe.model.chat_template,
        thoughts=recipe.model.thoughts,
        locate=locate,
        warn=warn,
        expected=expected,
        began=since,
    )


def judge_host(recipe: Recipe, locate: Locate, warn: Callable[[str], None]) -> VLLMHost:
    """Return what serves a judge."""
    return VLLMHost(settings_of(recipe, "oracle"), locate=locate, warn=warn)


def judge_chat(recipe: Recipe, judge: Checkpoint, locate: Locate, warn: Callable[[str], None]) -> Any:
    """Return a chat model that answers in a form."""
    from iteralign.engines.vllm.judging import VLLMChat

    return VLLMChat(judge_host(recipe, locate, warn), judge)


def judge_texts(
    recipe: Recipe, judge: Checkpoint, locate: Locate, warn: Callable[[str], None], forms: Continuing
) -> Continuing:
    """Return what continues a guard's texts; ``forms``: what reads its chat template."""
    from iteralign.engines.vllm.judging import VLLMTexts

    return VLLMTexts(judge_host(recipe, locate, warn), judge, forms)
