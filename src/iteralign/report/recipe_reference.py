"""Writes docs/recipe.md from the recipe's model: ``python -m iteralign.report.recipe_reference > docs/recipe.md``.

Everything in the tables comes from the fields' types, bounds, defaults and descriptions, so that the page cannot be out of date.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from iteralign.recipe import Recipe, headlines
from iteralign.recipe_messages import allowed, section_of
from iteralign.recipe_yaml import dump

INTRODUCTION = """\
# Recipe reference

A recipe is one YAML file with everything that a run depends on. Keys that are left out take their defaults, so that the
shortest recipe is an empty file; `iteralign recipe show FILE` prints it with all defaults filled in, and
`iteralign recipe check FILE` says what is wrong with it and what a run of it would take. The resolved recipe is stored
with the run, and a run keeps it: `iteralign resume RUN --set stop.iterations=5` may extend a run, `budget.*` may be raised, and how
servers are reached (addresses, keys' variables, limits) may change; nothing else may.

    iteralign run mine.yaml --set stop.iterations=5 --set training.method=lora

An unknown key or a bad value is an error that names the key, the value, the file and line (or the option), what is
allowed, and the nearest known key; all errors are told at once. Scalars are read as YAML 1.2 has it: `2e-6` is a number,
`yes` and `on` are text (write `true`), and a key that is given twice is an error. `--set` reads its value in the same way.

This page is made from the recipe's model by `make docs`.
"""


def reference() -> str:
    """The page as Markdown."""
    return "\n".join([INTRODUCTION, *_shipped(), *_section(Recipe, ""), ""]).rstrip() + "\n"


def _shipped() -> Iterator[str]:
    yield "## Shipped recipes\n"
    yield "| name | what it is for |\n|---|---|"
    yield from (f"| `{name}` | {headline} |" for name, headline in headlines().items())
    yield ""


def _section(model: type[BaseModel], prefix: str) -> Iterator[str]:
    values = {n: f for n, f in model.model_fields.items() if section_of(f) is None}
    yield f"## {f'`{prefix}`' if prefix else 'Top level'}\n"
    if prefix:
        yield f"{(model.__doc__ or '').strip().splitlines()[0]}\n"
    yield "| key | takes | default | meaning |\n|---|---|---|---|"
    for name, field in values.items():
        default = dump({"x": field.get_default(call_default_factory=True)}).removeprefix("x:").strip()
        yield f"| `{prefix}{'.' if prefix else ''}{name}` | {allowed(field)} | `{default}` | {field.description} |"
    yield ""
    for name, field in model.model_fields.items():
        inner = section_of(field)
        if inner is not None:
            yield from _section(inner, f"{prefix}{'.' if prefix else ''}{name}")


if __name__ == "__main__":
    print(reference(), end="")
