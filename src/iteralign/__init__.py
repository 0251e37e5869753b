"""IterAlign and Self-Align: align language models with almost no human labels.

The public names; each is imported when it is first used, so that ``import iteralign`` is cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iteralign.api import align, evaluate, load_run, self_align
    from iteralign.errors import IterAlignError
    from iteralign.recipe.iteralign import Recipe
    from iteralign.recipe.self_align import SelfAlignRecipe

__version__ = "0.1.0"
__all__ = [
    "IterAlignError",
    "Recipe",
    "SelfAlignRecipe",
    "__version__",
    "align",
    "evaluate",
    "load_run",
    "self_align",
]

_HOMES = {
    "IterAlignError": "iteralign.errors",
    "Recipe": "iteralign.recipe.iteralign",
    "SelfAlignRecipe": "iteralign.recipe.self_align",
    "align": "iteralign.api",
    "evaluate": "iteralign.api",
    "load_run": "iteralign.api",
    "self_align": "iteralign.api",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'iteralign' has no attribute {name!r}; public names: {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
