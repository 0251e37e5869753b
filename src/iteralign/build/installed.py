"""Whether the libraries that a recipe needs are installed: asked before anything is made.

Imports none of them. A part of the composition root.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Final

from iteralign.errors import EngineError
from iteralign.recipe.iteralign import Recipe
from iteralign.recipe.load import AnyRecipe, shared

EXTRAS: Final = {
    "train": ("torch", "transformers", "trl", "peft", "datasets", "accelerate"),
    "qlora": ("bitsandbytes",),
    "lowbit": ("torchao",),
    "eval": ("lm_eval",),
    "gguf": ("gguf", "filelock"),
    "vllm": ("vllm",),
    "ray": ("ray",),
}
"""The libraries that each extra of the package installs."""
BROUGHT: Final = {"train": ("huggingface_hub", "tokenizers", "safetensors", "pyarrow", "pandas")}
"""What they bring along."""
_ANSWERS: Final = ("torch", "transformers")


def must_be_installed(recipe: AnyRecipe, *, training: bool) -> None:
    """Check that the recipe's model can answer here, and with ``training`` that it can be trained here.

    Raises ``EngineError`` that says in one line what to install.
    """
    if training:
        names = (*EXTRAS["train"], *_asked_for(recipe))
    elif recipe.model.engine == "server" and recipe.model.api == "chat":
        names = ()
    else:
        names = _ANSWERS
    missing = [name for name in names if not _is_there(name)]
    if missing:
        raise EngineError(lacking(missing, "training a model" if training else "a model here"))
    loop = shared(recipe)
    if loop.model.engine == "ray" and not _is_there("ray"):
        raise EngineError(lacking(["ray"], "model.engine = ray"))
    if "vllm" in (loop.model.engine, loop.oracle.engine):
        from iteralign.build.vllm import must_be_found

        must_be_found(loop)


def must_be_there(purpose: str) -> None:
    """Check that models can answer in this process. Raises ``EngineError``."""
    missing = [name for name in _ANSWERS if not _is_there(name)]
    if missing:
        raise EngineError(lacking(missing, purpose))


def lacking(missing: Sequence[str], purpose: str = "this") -> str:
    """Say what is not installed, and how to install it."""
    extra = extra_of(missing[0]) or "train"
    verb = "is" if len(missing) == 1 else "are"
    return (
        f"{purpose} needs {', '.join(missing)}, which {verb} not installed: pip install 'iteralign[{extra}]'"
    )


def extra_of(module: str) -> str | None:
    """Return the extra that installs a library; None for one that no extra does."""
    top = module.partition(".")[0]
    return next((e for e, names in EXTRAS.items() if top in (*names, *BROUGHT.get(e, ()))), None)


def _asked_for(recipe: AnyRecipe) -> list[str]:
    """What a recipe's trainings need beside the usual."""
    if isinstance(recipe, Recipe):
        sections = [recipe.training]
    else:
        sections = [recipe.engrave.training, *([recipe.clone.training] if recipe.clone.enabled else [])]
    return ["torchao"] if any(s.optimizer == "adamw-8bit" for s in sections) else []


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):  # an import hook, or a half-removed package
        return False
