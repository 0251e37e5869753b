"""Everything that a run depends on, as one typed model: YAML in and out, all errors at once.

An unknown key is an error that names the nearest known one; a bad value is shown with what is allowed, and
where it stands. Knows no engine and reads no file but the recipe's own. docs/recipe.md is made from the
descriptions here.
"""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError

from iteralign.errors import RecipeError
from iteralign.recipe.messages import explain, section_of
from iteralign.recipe.sections import (
    AcceptSection,
    BenignSection,
    BudgetSection,
    ConsolidateSection,
    EvaluationSection,
    ModelSection,
    OracleSection,
    ProposeSection,
    RedTeamSection,
    ReflectionSection,
    ReplaySection,
    ScreenSection,
    Section,
    StopSection,
    TrainingSection,
)
from iteralign.recipe.yaml import Draft, Override, dump, lay_over, override, read

Kind = TypeVar("Kind", bound=BaseModel)


class Recipe(Section):
    """Everything that a run depends on."""

    name: str = Field(
        "embedded",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        description="names the run: letters, digits, `.`, `_` and `-`",
    )
    method: Literal["iteralign"] = Field("iteralign", description="the algorithm")
    seed: int = Field(0, ge=0, description="of everything that is random")
    constitution: str | None = Field(
        None,
        min_length=1,
        description="principles to start from: a constitution's file, or `self-align` for that method's 16 rules",
    )
    model: ModelSection = Field(default_factory=ModelSection)
    oracle: OracleSection = Field(default_factory=OracleSection)
    red_team: RedTeamSection = Field(default_factory=RedTeamSection)
    benign: BenignSection = Field(default_factory=BenignSection)
    propose: ProposeSection = Field(default_factory=ProposeSection)
    consolidate: ConsolidateSection = Field(default_factory=ConsolidateSection)
    reflection: ReflectionSection = Field(default_factory=ReflectionSection)
    screen: ScreenSection = Field(default_factory=ScreenSection)
    replay: ReplaySection = Field(default_factory=ReplaySection)
    training: TrainingSection = Field(default_factory=TrainingSection)
    evaluation: EvaluationSection = Field(default_factory=EvaluationSection)
    accept: AcceptSection = Field(default_factory=AcceptSection)
    stop: StopSection = Field(default_factory=StopSection)
    budget: BudgetSection = Field(default_factory=BudgetSection)
    keep_checkpoints: int = Field(
        2, ge=1, description="accepted checkpoints that are kept on disk, the latest first"
    )

    def to_yaml(self) -> str:
        """The resolved recipe as YAML; reads back equal."""
        return dump(self.model_dump(mode="json"))


def shipped(method: str = "iteralign") -> dict[str, str]:
    """The names and texts of a method's shipped recipes."""
    folder = files("iteralign.recipes")
    found = sorted((p for p in folder.iterdir() if p.name.endswith(".yaml")), key=lambda p: p.name)
    texts = {p.name.removesuffix(".yaml"): p.read_text(encoding="utf-8") for p in found}
    return {name: text for name, text in texts.items() if method_of(text) == method}


def method_of(text: str, default: str = "iteralign") -> str:
    """The method that a recipe's text names."""
    found = re.search(r"^method:\s*(\S+)", text, re.MULTILINE)
    return found[1] if found else default


def headlines(method: str = "iteralign") -> dict[str, str]:
    """The names of a method's shipped recipes, each with the first sentence of its comment: what it is for."""
    found = {}
    for name, text in shipped(method).items():
        comment = [
            line.removeprefix("#").strip()
            for line in takewhile(lambda line: line.startswith("#"), text.splitlines()[1:])
        ]
        found[name] = " ".join(comment).partition(". ")[0].rstrip(".")
    return found


def load_recipe(path_or_name: str | Path = "embedded", overrides: Sequence[str | Override] = ()) -> Recipe:
    """A recipe from a YAML file or a shipped one's name, with ``a.b=c`` overrides laid over it, the last of a
    key wins.

    Raises one ``RecipeError`` that names all that is wrong: each key, its value, where it stands and what is
    allowed.
    """
    text, where = find(path_or_name, "iteralign")
    draft = read(text, where)
    lay_over(draft, [override(o) if isinstance(o, str) else o for o in overrides])
    return validated(draft, where, Recipe)


def parse(data: Mapping[str, Any], where: str) -> Recipe:
    """A recipe from plain data that ``where`` names in messages. Raises ``RecipeError``."""
    return validated(Draft(data=dict(data)), where, Recipe)


def changes(
    settings: Mapping[str, Any], overrides: Sequence[str], where: str, model: type[BaseModel] = Recipe
) -> dict[str, Any]:
    """What the overrides change in a run's settings, as nested plain data. Raises ``RecipeError`` as
    ``load_recipe`` does.
    """
    given = [override(o) for o in overrides]
    draft = Draft(data=copy.deepcopy(dict(settings)))
    lay_over(draft, given)
    validated(draft, where, model)
    changed = Draft()
    lay_over(changed, given)
    return changed.data


def find(path_or_name: str | Path, method: str) -> tuple[str, str]:
    """The text of a recipe of this method, and what messages call it. Raises ``RecipeError``."""
    name, known, path = str(path_or_name), shipped(method), Path(path_or_name)
    if name in known:
        return known[name], f"the recipe {name}"
    command = {"iteralign": "run", "self-align": "self-align"}
    for other in command.keys() - {method}:
        if name in shipped(other):
            raise RecipeError(
                f"{name!r} is a recipe of the method {other}: start it with `iteralign {command[other]} {name}`"
            )
    if not path.is_file():
        near = difflib.get_close_matches(path.stem, known, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise RecipeError(
            f"{name!r}: no such file, and no such recipe.{hint} Known recipes: {', '.join(known)}"
        )
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{name} cannot be read: {error}") from error
    if (found := method_of(text, method)) in command.keys() - {method}:
        raise RecipeError(
            f"{name} is a recipe of the method {found}: start it with `iteralign {command[found]} {name}`"
        )
    return text, name


def validated(draft: Draft, where: str, model: type[Kind]) -> Kind:
    """The draft as a recipe of this kind. Raises one ``RecipeError`` that names all that is wrong."""
    problems, recipe = list(draft.problems), None
    try:
        recipe = model.model_validate(_filled(draft.data, model))
    except ValidationError as error:
        problems += [explain(model, e, draft, where) for e in error.errors()]
    if recipe is None or problems:
        header = [f"{len(problems)} things are wrong:"] if len(problems) > 1 else []
        raise RecipeError("\n".join([*header, *problems]))
    return recipe


def _filled(data: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """The data with sections that were left empty (``training:`` and nothing below) standing for their
    defaults.
    """
    found = dict(data)
    for name, field in model.model_fields.items():
        inner = section_of(field)
        if inner is not None and name in found:
            value = {} if found[name] is None else found[name]
            found[name] = _filled(value, inner) if isinstance(value, Mapping) else value
    return found
