"""From a recipe's name or file to its typed model, for both methods: all errors at once.

An unknown key is an error that names the nearest known one; a bad value is shown with what is allowed, and
where it stands. Reads no file but the recipe's own. The keys stand in ``iteralign`` and ``self_align``.
"""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from itertools import takewhile
from pathlib import Path
from typing import Any, Final, TypeVar, overload

from pydantic import BaseModel, ValidationError

from iteralign.errors import RecipeError, StoreError
from iteralign.foreign.errors import short
from iteralign.log import log
from iteralign.recipe.iteralign import Recipe
from iteralign.recipe.messages import explain, section_of
from iteralign.recipe.self_align import SelfAlignRecipe
from iteralign.recipe.yaml import Draft, Override, lay_over, override, read

AnyRecipe = Recipe | SelfAlignRecipe
Kind = TypeVar("Kind", bound=AnyRecipe)
_Model = TypeVar("_Model", bound=BaseModel)

KINDS: Final[Mapping[str, type[AnyRecipe]]] = {"iteralign": Recipe, "self-align": SelfAlignRecipe}
"""The recipe's model of each method."""
UNUSED: Final[Mapping[tuple[str, str], Sequence[str]]] = {
    ("oracle.kind", "embedded"): (
        *("model", "proposer", "base_url", "jurors", "proposer_url", "family", "threshold"),
    ),
    ("oracle.kind", "chat"): ("jurors", "proposer_url", "family", "threshold"),
    ("oracle.kind", "jury"): ("proposer_url", "family", "threshold"),
    ("oracle.kind", "guard"): ("jurors",),
    ("oracle.kind", "local"): ("jurors", "base_url", "family"),
    ("model.engine", "hf"): ("base_url", "served_as", "engine_args"),
    ("model.engine", "vllm"): ("base_url", "served_as"),
    ("model.engine", "server"): ("engine_args",),
    ("model.engine", "ray"): ("base_url", "served_as"),
}
"""Keys of the section that a choice does not use. Beside such a choice on the command line those of the
recipe are left out; in a recipe they are an error."""
_LARGEST: Final = 1 << 20
"""Bytes of a recipe's file, at most: the shipped ones have a few thousand."""
_SAID: Final = 1000
"""Characters of one thing that is wrong, in a message."""
_SHOWN: Final = 200
"""Characters of one text of the recipe in it, at most."""
COMMANDS: Final = {"iteralign": "run", "self-align": "self-align"}
"""The command that starts a recipe of each method."""


@overload
def load_recipe(path_or_name: str | Path = ..., overrides: Sequence[str | Override] = ...) -> Recipe: ...
@overload
def load_recipe(
    path_or_name: str | Path, overrides: Sequence[str | Override] = ..., *, kind: type[Kind]
) -> Kind: ...
def load_recipe(
    path_or_name: str | Path = "embedded",
    overrides: Sequence[str | Override] = (),
    *,
    kind: type[Any] = Recipe,
) -> Any:
    """Load a recipe from a YAML file, or a shipped one by its name.

    ``a.b=c`` overrides are laid over it; the last one of a key wins. ``kind`` is the method's recipe: one of
    the other method is refused. Raises one ``RecipeError`` that names all that is wrong: each key, its value,
    where it stands and what is allowed.
    """
    text, where = _find(path_or_name, _method(kind))
    draft = read(text, where)
    given = [override(o) if isinstance(o, str) else o for o in overrides]
    lay_over(draft, given)
    for key, value in _without_use(draft, given):
        log(f"{key}={value} does not use {_drop(draft, key, value, given)}: left out")
    return _validated(draft, where, kind)


@overload
def parse(data: Mapping[str, Any], where: str) -> Recipe: ...
@overload
def parse(data: Mapping[str, Any], where: str, kind: type[Kind]) -> Kind: ...
def parse(data: Mapping[str, Any], where: str, kind: type[Any] = Recipe) -> Any:
    """Check plain data that ``where`` names in messages, and return the recipe. Raises ``RecipeError``."""
    return _validated(Draft(data=dict(data)), where, kind)


def recipe_of(settings: Mapping[str, Any]) -> AnyRecipe:
    """Return the recipe that a run keeps as its settings, of the method that they name.

    A run goes on as it did where it was begun before a key: before ``min_lessons`` it trains on any number
    of lessons, before ``model.thoughts`` it keeps them in answers, before ``oracle.intent`` it guesses it,
    before ``screen.rules`` it asks the oracle alone, before ``keep_adapter`` it keeps whole models.
    """
    found = copy.deepcopy(dict(settings))
    model = found.get("model")
    if isinstance(model, dict) and model:
        model.setdefault("thoughts", "keep")
    if model and isinstance(oracle := found.setdefault("oracle", {}), dict):
        oracle.setdefault("intent", "guess")
    if isinstance(screen := found.get("screen"), dict) and screen:
        screen.setdefault("rules", False)
    for section in (found, found.get("engrave"), found.get("clone")):
        training = section.get("training") if isinstance(section, Mapping) else None
        if isinstance(training, dict) and training:
            training.setdefault("min_lessons", 1)
            training.setdefault("keep_adapter", False)
    return _kind(settings).model_validate(found)


def kept(settings: Mapping[str, Any], where: object) -> AnyRecipe:
    """Return the recipe of a run's settings (``recipe_of``), which may have come from elsewhere.

    Raises ``StoreError`` naming ``where`` for settings that are no recipe's.
    """
    try:
        recipe = recipe_of(settings)
        absent = [key for key in ("name", "seed", "model") if key not in settings]
        if not absent:
            return recipe
        why = f"without {', '.join(absent)}"
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(map(str, first["loc"]))[:80]
        why = f"{at}: {first['msg']}"
    except (ValueError, TypeError, AttributeError) as error:
        why = str(error)
    raise StoreError(
        f"{where}: the settings that this run keeps are no recipe's ({short(why)}): take the directory as it "
        "was written, or start another run"
    )


def shared(recipe: AnyRecipe) -> Recipe:
    """Return what both methods share, as IterAlign's recipe: model, oracle, held-out prompts, budget."""
    return recipe if isinstance(recipe, Recipe) else recipe.loop()


def changes(settings: Mapping[str, Any], overrides: Sequence[str], where: str) -> dict[str, Any]:
    """Return what the overrides change in a run's settings, as nested plain data.

    Raises ``RecipeError`` as ``load_recipe`` does.
    """
    given = [override(o) for o in overrides]
    draft = Draft(data=copy.deepcopy(dict(settings)))
    lay_over(draft, given)
    _validated(draft, where, _kind(settings))
    changed = Draft()
    lay_over(changed, given)
    return changed.data


# ---- names and files


def shipped(method: str = "iteralign") -> dict[str, str]:
    """Return the names and texts of a method's shipped recipes."""
    folder = files("iteralign.recipes")
    found = sorted((p for p in folder.iterdir() if p.name.endswith(".yaml")), key=lambda p: p.name)
    texts = {p.name.removesuffix(".yaml"): p.read_text(encoding="utf-8") for p in found}
    return {name: text for name, text in texts.items() if method_of(text) == method}


def headlines(method: str = "iteralign") -> dict[str, str]:
    """Return the names of a method's shipped recipes, each with the first sentence of its comment."""
    found = {}
    for name, text in shipped(method).items():
        lines = takewhile(lambda line: line.startswith("#"), text.splitlines()[1:])
        comment = " ".join(line.removeprefix("#").strip() for line in lines)
        found[name] = comment.partition(". ")[0].rstrip(".")
    return found


def method_of(text: str, default: str = "iteralign") -> str:
    """Return the method that a recipe's text names."""
    found = re.search(r"^method:\s*(\S+)", text, re.MULTILINE)
    return found[1] if found else default


def kind_of(path_or_name: str) -> type[AnyRecipe]:
    """Return the model of the method that a recipe, shipped or a file, names."""
    if path_or_name in shipped("self-align"):
        return SelfAlignRecipe
    path = Path(path_or_name)
    if path_or_name in shipped() or not path.is_file():
        return Recipe
    with path.open(encoding="utf-8", errors="replace") as file:
        named = method_of(file.read(_LARGEST))
    return SelfAlignRecipe if named == "self-align" else Recipe


def _find(path_or_name: str | Path, method: str) -> tuple[str, str]:
    """Return the text of a recipe of this method, and what messages call it. Raises ``RecipeError``."""
    name = str(path_or_name)
    known = shipped(method)
    path = Path(path_or_name)
    if name in known:
        return known[name], f"the recipe {name}"
    others = COMMANDS.keys() - {method}
    for other in others:
        if name in shipped(other):
            raise RecipeError(
                f"{name!r} is a recipe of the method {other}: start it with `iteralign {COMMANDS[other]} "
                f"{name}`"
            )
    if not path.is_file():
        if path.exists() and not path.is_dir():
            raise RecipeError(f"{name!r}: is a pipe or a device, not a file: write it into a file first")
        near = difflib.get_close_matches(path.stem, known, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise RecipeError(
            f"{name!r}: no such file, and no such recipe.{hint} Known recipes: {', '.join(known)}"
        )
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        text = content.decode().replace("\r\n", "\n").replace("\r", "\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error if isinstance(error, OSError) else f"it is not UTF-8 text (byte {error.start})"
        raise RecipeError(f"{name} cannot be read: {why}") from error
    if len(content) > _LARGEST:
        raise RecipeError(f"{name} is larger than {_LARGEST >> 20} MiB: that is no recipe")
    if (found := method_of(text, method)) in others:
        raise RecipeError(
            f"{name} is a recipe of the method {found}: start it with `iteralign {COMMANDS[found]} {name}`"
        )
    return text, name


def _method(kind: type[AnyRecipe]) -> str:
    return next(method for method, known in KINDS.items() if known is kind)


def _kind(settings: Mapping[str, Any]) -> type[AnyRecipe]:
    return KINDS.get(settings.get("method", ""), Recipe)


# ---- choices that leave keys of the file without use


def _without_use(draft: Draft, given: Sequence[Override]) -> list[tuple[str, str]]:
    """The choices that were given beside the file and that do not use every key of the file."""
    chosen = {o.key: o.value for o in given if isinstance(o.value, str)}
    return [
        (key, value)
        for (key, value) in UNUSED
        if chosen.get(key) == value and _left_over(draft, key, value, given)
    ]


def _left_over(draft: Draft, key: str, value: str, given: Sequence[Override]) -> list[str]:
    """The keys of the file that a choice does not use; what was given beside the file is no oversight."""
    home = key.partition(".")[0]
    section = draft.data.get(home)
    named = {o.key for o in given}
    if not isinstance(section, Mapping):
        return []
    return [k for k in UNUSED[key, value] if section.get(k) and not _is_given(f"{home}.{k}", named)]


def _is_given(key: str, named: set[str]) -> bool:
    return any(n == key or n.startswith(f"{key}.") for n in named)


def _drop(draft: Draft, key: str, value: str, given: Sequence[Override]) -> str:
    """Take the keys that a choice does not use out of the draft, and say which they were and where."""
    home = key.partition(".")[0]
    told = []
    for name in _left_over(draft, key, value, given):
        place = draft.place([home, name])
        told.append(f"{home}.{name}" + (f" ({place})" if place else ""))
        del draft.data[home][name]
    return ", ".join(told)


# ---- checks


def _validated(draft: Draft, where: str, kind: type[_Model]) -> _Model:
    """Return the draft as a recipe of this kind. Raises one ``RecipeError`` that names all that is wrong."""
    halves = _half_characters(draft, where)
    problems = [*draft.problems, *halves]
    recipe = None
    try:
        recipe = None if halves else kind.model_validate(_filled(draft.data, kind))
    except ValidationError as error:
        problems += [explain(kind, e, draft, where) for e in error.errors()]
    problems = [_cut(p, draft.data) for p in problems]
    if recipe is None or problems:
        header = [f"{len(problems)} things are wrong:"] if len(problems) > 1 else []
        raise RecipeError("\n".join([*header, *problems]))
    return recipe


def _cut(problem: str, data: Mapping[str, Any]) -> str:
    """Return a problem with no more than a little of each text that the draft holds."""
    if len(problem) <= _SHOWN:
        return problem
    for text in _texts(data):
        if len(text) > _SHOWN:
            for spelled in (text, repr(text)[1:-1], ascii(text)[1:-1]):
                problem = problem.replace(spelled, short(spelled))
    return problem if len(problem) <= _SAID else short(problem, _SAID)


def _texts(data: Mapping[str, Any]) -> Iterator[str]:
    pending: list[Any] = [data]
    while pending:
        value = pending.pop()
        if isinstance(value, Mapping):
            pending += [*value, *value.values()]
        elif isinstance(value, list):
            pending += value
        elif isinstance(value, str):
            yield value


def _half_characters(draft: Draft, where: str) -> list[str]:
    """Name the keys whose texts no file could hold."""
    pending: list[tuple[tuple[str, ...], Any]] = [((), draft.data)]
    found = []
    while pending:
        path, value = pending.pop()
        if isinstance(value, Mapping):
            pending += [((*path, str(key)), inner) for key, inner in value.items()]
            pending += [((*path, str(key)), key) for key in value]
        elif isinstance(value, list):
            pending += [(path, inner) for inner in value]
        elif isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value):
            place = draft.place(path) or where
            found.append(f"{'.'.join(path)} = {value[:60]!a} ({place}): it holds half a surrogate pair")
    return found


def _filled(data: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Return the data with empty sections as ``{}``: ``training:`` alone stands for the defaults."""
    found = dict(data)
    for name, field in model.model_fields.items():
        inner = section_of(field)
        if inner is not None and name in found:
            value = {} if found[name] is None else found[name]
            found[name] = _filled(value, inner) if isinstance(value, Mapping) else value
    return found
