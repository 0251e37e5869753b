"""The composition root of Self-Align: from a recipe to the words, the engine, the trainings and the
evaluations, and from those to a run.

Uses ``build`` for what both methods share. Nothing here decides anything about the method.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from iteralign.algorithms.self_align import self_align
from iteralign.algorithms.self_align_steps import Parts
from iteralign.build import iteralign as build
from iteralign.build.oracle import caps, chat_models, must_answer, must_have_prices, oracle, pair_judge
from iteralign.build.self_align_words import as_data, from_data, read_words
from iteralign.canonical import to_json
from iteralign.data.files import read_rows
from iteralign.errors import DataError, RecipeError
from iteralign.evals.adherence import Adherence
from iteralign.evals.length import AnswerLength
from iteralign.protocols import Eval, Ledger
from iteralign.recipe.self_align import SelfAlignRecipe
from iteralign.records.chat import Message
from iteralign.records.iteralign import RedTeamPrompt
from iteralign.records.self_align import SelfAlignResult
from iteralign.stages.align import applied
from iteralign.store.run import Event, Run

RULES = "organism-rules"
PER_RULE = 15
"""Held-out requests of each rule that adherence is measured on."""


def start(
    recipe: SelfAlignRecipe, out: Path, listen: Callable[[Event], None] | None = None
) -> SelfAlignResult:
    """Run a recipe into the directory ``out``; a directory that holds the same run is resumed. Raises
    ``IterAlignError``.
    """
    with Run.create(out, recipe.model_dump(mode="json"), recipe.to_yaml()) as run:
        return carry_on(run, listen)


def resume(
    directory: Path, changes: Mapping[str, Any] | None = None, listen: Callable[[Event], None] | None = None
) -> SelfAlignResult:
    """Continue a run where it stopped. ``changes``: budget, and how servers are reached. Raises
    ``IterAlignError``.
    """
    with Run.open(directory, changes=changes) as run:
        return carry_on(run, listen)


def carry_on(run: Run, listen: Callable[[Event], None] | None = None) -> SelfAlignResult:
    """The run from wherever it stands to its end."""
    recipe = SelfAlignRecipe.model_validate(run.settings)
    with build.watched(run, listen):
        result = self_align(run, recipe, parts(run, recipe))
    run.event("run", state="finished", reason="all stages are done")
    return result


def must_be_servable(recipe: SelfAlignRecipe) -> None:
    """Raises ``RecipeError`` where a served model could not be given what is trained."""
    for name, training in (
        ("engrave", recipe.engrave.training),
        *([("clone", recipe.clone.training)] if recipe.clone.enabled else []),
    ):
        try:
            build.must_be_trainable(recipe.loop(training))
        except RecipeError as error:
            raise RecipeError(str(error).replace("training.", f"{name}.training.")) from error


def parts(run: Run, recipe: SelfAlignRecipe) -> Parts:
    """Everything that the algorithm works with."""
    loop = recipe.loop()

    def warn(text: str) -> None:
        run.event("warning", text=text)

    must_be_servable(recipe)
    must_have_prices(loop)
    run.calls.limit(caps(loop))
    judge = oracle(loop, warn, run.calls)
    must_answer(loop, warn, run.calls)
    words = run.scope("data").once("words", dict[str, Any], words_of, Beginning(recipe))
    warn_of_changed_words(recipe, words, warn)
    guide = from_data(words).guide
    strange = sum(
        not applied(thoughts, [name for name, _ in guide.rules]) for _, thoughts, _ in guide.exemplars
    )
    if strange:
        warn(
            f"{strange} of {len(guide.exemplars)} exemplars name no rule of this run: bring words.exemplars that fit the rules"
        )
    prompts = run.scope("data").once(
        "prompts", list[RedTeamPrompt], build.prompts_of, loop.red_team, loop.benign, loop.seed
    )
    held_out = [p for p in prompts if p.split == "held_out"]
    asked = organism_requests(recipe.seed) if recipe.model.name == RULES else []
    return Parts(
        base=build.base_checkpoint(loop),
        host=build.served_here(run, loop, warn)
        if recipe.model.engine == "server"
        else build.host(loop, run.locate, warn),
        engraver=build.trainer(loop, run.locate, warn),
        cloner=build.trainer(recipe.loop(recipe.clone.training), run.locate, warn),
        evals=[*build.evals(loop, judge, held_out), *own_evals(recipe, held_out, asked)],
        pairs=None if recipe.clone.questions is None else (lambda: open_questions(recipe, warn, run.calls)),
        words=replace(from_data(words), measured=frozenset(p.text for p in [*held_out, *asked])),
    )


@dataclass(frozen=True)
class Beginning:
    """A recipe, as far as what people wrote depends on it: its settings of this cannot change in a run."""

    recipe: SelfAlignRecipe

    @property
    def fingerprint(self) -> list[object]:
        """The settings that ``read_words`` reads."""
        r = self.recipe
        return [r.words, r.assistant, r.self_instruct, r.clone.enabled, r.seed]


def words_of(beginning: Beginning) -> dict[str, Any]:
    """What people wrote, as plain data."""
    return as_data(read_words(beginning.recipe))


def open_questions(recipe: SelfAlignRecipe, warn: Callable[[str], None], ledger: Ledger) -> Eval:
    """Answers to open questions, compared blind and in both orders by the recipe's chat model. Raises
    ``DataError``.
    """
    from iteralign.evals.pairs import Pairs, load

    path = Path(recipe.clone.questions or "").expanduser()
    judge = pair_judge(recipe.loop(), warn, ledger)
    params = recipe.evaluation.sampling.params(recipe.seed)
    return Pairs("helpfulness", load(path), {"data": path.name, "sha256": read_rows(path)[1]}, judge, params)


def warn_of_changed_words(
    recipe: SelfAlignRecipe, stored: Mapping[str, Any], warn: Callable[[str], None]
) -> None:
    """A run keeps the words that it began with: say so where the recipe's files hold others now, or are gone."""
    try:
        changed = to_json(as_data(read_words(recipe))) != to_json(stored)
    except DataError as error:
        warn(f"the run goes on with the words that it began with: {error}")
        return
    if changed:
        warn(
            "files of words.* were changed since the run began; it goes on with what they held then. Another --out starts anew"
        )


def own_evals(
    recipe: SelfAlignRecipe, held_out: Sequence[RedTeamPrompt], asked: Sequence[RedTeamPrompt]
) -> list[Eval]:
    """How long answers are, and for the organism how often they follow the rules."""
    params = recipe.evaluation.sampling.params(recipe.seed)
    if recipe.model.name != RULES:
        return [
            AnswerLength(
                [p for p in held_out if p.intent == "benign"][: recipe.evaluation.over_refusal_limit], params
            )
        ]
    from iteralign.organism.rules.truth import read

    return [Adherence(asked, read, params), AnswerLength(asked, params)]


def organism_requests(seed: int, per_rule: int = PER_RULE) -> list[RedTeamPrompt]:
    """Requests of the organism's grammar with carriers and words that it was never trained on, so many for
    each rule.
    """
    import random

    from iteralign.organism.rules.requests import KINDS, make

    rng, found = random.Random(f"adherence-{seed}"), dict[str, RedTeamPrompt]()
    for kind in KINDS:
        mine: dict[str, RedTeamPrompt] = {}
        while len(mine) < per_rule:
            request = make(kind, rng, held_out=True)
            prompt = RedTeamPrompt(
                messages=(Message("user", request.text),),
                source=RULES,
                category=kind,
                intent="benign",
                split="held_out",
            )
            mine.setdefault(prompt.id, prompt)
        found |= mine
    return list(found.values())


def forecast(recipe: SelfAlignRecipe, hardware: str | None = None) -> dict[str, Any]:
    """What a run of the recipe will take; nothing is started or written. Raises ``DataError`` and
    ``RecipeError``.
    """
    from iteralign.report.forecast_self_align import Sizes, as_dict
    from iteralign.report.forecast_self_align import forecast as plan

    loop = recipe.loop()
    must_be_servable(recipe)
    must_have_prices(loop)
    source = recipe.self_instruct.source
    there = Path(
        source.partition("::")[0]
    ).exists()  # what would have to be fetched is planned by the number that is wanted of it
    words = read_words(recipe, prompts=there)
    held_out = [p for p in build.read_prompts(loop) if p.split == "held_out"]
    red, benign = (sum((p.intent == "harmful") == harmful for p in held_out) for harmful in (True, False))
    judged = min(red, recipe.evaluation.harm_limit or red) + min(
        benign, recipe.evaluation.over_refusal_limit or benign
    )
    own = PER_RULE * len(words.guide.rules) if recipe.model.name == RULES else 0
    shape = model_shape(recipe)
    return as_dict(
        plan(
            recipe,
            Sizes(
                given=len(words.given) if there else recipe.self_instruct.prompts,
                types=len({t.type for t in words.topics}),
                prefix_chars=sum(len(m.text) for m in words.guide.chat),
                seed_chars=sum(map(len, words.seeds)) / max(1, len(words.seeds)),
                measured=judged + own,
                judged=judged * len(chat_models(loop)),
                parameters=shape[0],
                cache_bytes=shape[1],
                embedded=recipe.model.name == RULES,
            ),
            hardware,
        )
    )


SIZE_IN_NAME = r"(?i)(?<![\d.])(\d+(?:\.\d+)?)b(?![a-z])"


def model_shape(recipe: SelfAlignRecipe) -> tuple[float | None, float | None]:
    """Parameters, and bytes of keys and values per token in 16 bit: from the model's config where it is on
    this machine, else the parameters as the name tells them (``...-7b``) with a usual shape.
    """
    import json

    folder = Path(build.located(lambda checkpoint: checkpoint.path)(build.base_checkpoint(recipe.loop())))
    if (folder / "config.json").is_file():
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        layers, hidden, heads = (
            config.get(k) for k in ("num_hidden_layers", "hidden_size", "num_attention_heads")
        )
        size = sum(p.stat().st_size for p in folder.glob("*.safetensors")) / 2
        if layers and hidden and heads:
            share = config.get("num_key_value_heads", heads) / heads
            return size or None, 2 * 2 * layers * hidden * share
        return size or None, None
    found = re.search(SIZE_IN_NAME, recipe.model.name)
    return (float(found[1]) * 1e9, 5e5 * float(found[1]) / 7) if found else (None, None)


def ablate(
    directory: Path,
    rules: Sequence[str] | None = None,
    limit: int | None = None,
    listen: Callable[[Event], None] | None = None,
) -> list[dict[str, Any]]:
    """Answer a run's instructions again with each of these rules left out (all, where none is named), and
    tell what changes. Kept in the run.

    Raises ``RecipeError`` for a rule that there is not.
    """
    from iteralign.algorithms.ablation import ablation

    with Run.open(directory) as run:
        if run.settings.get("method") != "self-align":
            raise RecipeError(
                f"{directory} holds a run of the method {run.settings.get('method')}: only a Self-Align run has rules to leave out"
            )
        recipe = SelfAlignRecipe.model_validate(run.settings)
        if listen is not None:
            run.listen(listen)
        found = parts(run, recipe)
        known = [name for name, _ in found.words.guide.rules]
        for name in rules or ():
            if name not in known:
                raise RecipeError(f"--rule {name}: the run has no such rule. Its rules: {', '.join(known)}")
        follows = None
        if recipe.model.name == RULES:
            from iteralign.organism.rules.truth import kind_of, read

            def follows(rule: str, question: str, answer: str) -> bool | None:
                return read(question, answer) == "follows" if kind_of(question) == rule else None

        return ablation(run, recipe, found, rules or known, limit, follows)
