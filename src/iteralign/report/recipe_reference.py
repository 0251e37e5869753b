"""Writes docs/recipe.md from the recipe's model: ``python -m iteralign.report.recipe_reference``.

Everything in the tables comes from the fields' types, bounds, defaults and descriptions, so that the page
cannot be out of date.
"""

from __future__ import annotations

from collections.abc import Iterator
from inspect import cleandoc

from pydantic import BaseModel

from iteralign.recipe.iteralign import Recipe
from iteralign.recipe.load import headlines
from iteralign.recipe.messages import allowed, section_of
from iteralign.recipe.self_align import SelfAlignRecipe
from iteralign.recipe.yaml import dump

INTRODUCTION = """\
# Recipe reference

A recipe is one YAML file with everything that a run depends on. Keys that are left out take their defaults, \
so that the
shortest recipe is an empty file; `iteralign recipe show FILE` prints it with all defaults filled in, and
`iteralign recipe check FILE` says what is wrong with it and what a run of it would take. \
The resolved recipe is stored
with the run, and a run keeps it: `iteralign resume RUN --set stop.iterations=5` may extend a run, \
`budget.*` may be raised, and how
servers are reached (addresses, keys' variables, limits) may change, and so may `model.device`,
`model.batch_size`, `model.max_context` and `training.max_length`, from the next step on; nothing else may.

    iteralign run mine.yaml --set stop.iterations=5 --set training.method=lora

An unknown key or a bad value is an error that names the key, the value, the file and line (or the option), \
what is
allowed, and the nearest known key; all errors are told at once. Scalars are read as YAML 1.2 has it: \
`2e-6` is a number,
`yes` and `on` are text (write `true`), and a key that is given twice is an error. \
`--set` reads its value in the same way.

This page is made from the recipe's model by `make docs`.
"""


SELF_ALIGN = """\
# Recipes of Self-Align

They name their method (`method: self-align`) and start with `iteralign self-align`. \
The sections `model`, `oracle`, `red_team`, `benign`,
`evaluation` and `budget`, and the keys of a `training`, are those above; \
`red_team` and `benign` give the held-out prompts only.
"""


def reference() -> str:
    """The page as Markdown."""
    shown = frozenset({"model", "oracle", "red_team", "benign", "evaluation", "budget", "training"})
    pages = [
        INTRODUCTION,
        *_shipped("iteralign"),
        *_section(Recipe, ""),
        SELF_ALIGN,
        *_shipped("self-align"),
        *_section(SelfAlignRecipe, "", shown),
    ]
    return "\n".join(pages).rstrip() + "\n"


def _shipped(method: str) -> Iterator[str]:
    yield "## Shipped recipes\n"
    yield "| name | what it is for |\n|---|---|"
    yield from (f"| `{name}` | {headline} |" for name, headline in headlines(method).items())
    yield ""


def _section(model: type[BaseModel], prefix: str, known: frozenset[str] = frozenset()) -> Iterator[str]:
    """``known``: sections that the page has shown already."""
    values = {n: f for n, f in model.model_fields.items() if section_of(f) is None}
    yield f"## {f'`{prefix}`' if prefix else 'Top level'}\n"
    if prefix:
        summary = cleandoc(model.__doc__ or "").partition("\n\n")[0]
        yield f"{' '.join(summary.split())}\n"
    yield "| key | takes | default | meaning |\n|---|---|---|---|"
    for name, field in values.items():
        value = field.get_default(call_default_factory=True)
        default = (
            f"[{', '.join(map(str, value))}]"
            if isinstance(value, list)
            else dump({"x": value}).removeprefix("x:").strip()
        )
        key = f"{prefix}{'.' if prefix else ''}{name}"
        yield f"| `{key}` | {allowed(field)} | `{default}` | {field.description} |"
    yield ""
    for name, field in model.model_fields.items():
        inner = section_of(field)
        if inner is not None and name not in known:
            yield from _section(inner, f"{prefix}{'.' if prefix else ''}{name}", known)


if __name__ == "__main__":
    print(reference(), end="")
