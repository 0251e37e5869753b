"""From a recipe of Self-Align to the parts that its algorithm works with, and the ablation of its rules.

A part of the composition root. Decides nothing about the method.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from iteralign.algorithms.self_align_steps import Parts
from iteralign.build.began import began, first_recipe
from iteralign.build.data import stored_prompts
from iteralign.build.evals import evals
from iteralign.build.models import RULES, base_checkpoint, host_of, must_be_trainable, trainer
from iteralign.build.oracle import oracle_of, pair_judge
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
from iteralign.stages.align import Guide, applied
from iteralign.store.run import Event, Run

PER_RULE = 15
"""Held-out requests of each rule that adherence is measured on."""


def parts(run: Run, recipe: SelfAlignRecipe) -> Parts:
    """Compose everything that the algorithm works with. Raises ``IterAlignError``."""
    loop = recipe.loop()
    first = first_recipe(run)
    assert isinstance(first, SelfAlignRecipe)

    def warn(text: str) -> None:
        run.event("warning", text=text)

    must_be_trainable(recipe)
    judge = oracle_of(run, loop, warn)
    stored = run.beginning("words", dict[str, Any], words_of, recipe)
    _warn_of_changed_words(recipe, stored, warn)
    words = from_data(stored)
    _warn_of_strange_exemplars(words.guide, warn)
    held_out = [p for p in stored_prompts(run, loop) if p.split == "held_out"]
    asked = organism_requests(recipe.seed) if recipe.model.name == RULES else []
    compared = recipe.clone.questions is not None
    return Parts(
        base=base_checkpoint(loop, began(run)),
        host=host_of(run, loop, warn),
        engraver=trainer(loop, run.locate, warn, first.loop(), began(run)),
        cloner=trainer(
            recipe.loop(recipe.clone.training),
            run.locate,
            warn,
            first.loop(first.clone.training),
            began(run),
        ),
        evals=[*evals(loop, judge, held_out), *_own_evals(recipe, held_out, asked)],
        pairs=(lambda: _open_questions(recipe, warn, run.calls)) if compared else None,
        words=replace(words, measured=frozenset(p.text for p in [*held_out, *asked])),
    )


def words_of(recipe: SelfAlignRecipe) -> dict[str, Any]:
    """Return what people wrote, as plain data."""
    return as_data(read_words(recipe))


def _warn_of_strange_exemplars(guide: Guide, warn: Callable[[str], None]) -> None:
    """Say so where exemplars apply rules that the run does not have."""
    names = [name for name, _ in guide.rules]
    strange = sum(not applied(thoughts, names) for _, thoughts, _ in guide.exemplars)
    if strange:
        warn(
            f"{strange} of {len(guide.exemplars)} exemplars name no rule of this run: "
            "bring words.exemplars that fit the rules"
        )


def _warn_of_changed_words(
    recipe: SelfAlignRecipe, stored: Mapping[str, Any], warn: Callable[[str], None]
) -> None:
    """Say so where the recipe's files hold other words now, or are gone: a run keeps those it began with."""
    try:
        changed = to_json(as_data(read_words(recipe))) != to_json(stored)
    except DataError as error:
        warn(f"the run goes on with the words that it began with: {error}")
        return
    if changed:
        warn(
            "files of words.* were changed since the run began; it goes on with what they held then. "
            "Another --out starts anew"
        )


def _open_questions(recipe: SelfAlignRecipe, warn: Callable[[str], None], ledger: Ledger) -> Eval:
    """Return the comparison of answers to open questions, blind and in both orders, by a chat model.

    Raises ``DataError``.
    """
    from iteralign.evals.pairs import Pairs, load

    path = Path(recipe.clone.questions or "").expanduser()
    judge = pair_judge(recipe.loop(), warn, ledger)
    params = recipe.evaluation.sampling.params(recipe.seed)
    return Pairs("helpfulness", load(path), {"data": path.name, "sha256": read_rows(path)[1]}, judge, params)


def _own_evals(
    recipe: SelfAlignRecipe, held_out: Sequence[RedTeamPrompt], asked: Sequence[RedTeamPrompt]
) -> list[Eval]:
    """Return how long answers are, and for the organism how often they follow the rules."""
    params = recipe.evaluation.sampling.params(recipe.seed)
    if recipe.model.name != RULES:
        benign = [p for p in held_out if p.intent == "benign"][: recipe.evaluation.over_refusal_limit]
        return [AnswerLength(benign, params)]
    from iteralign.organism.rules.truth import read

    return [Adherence(asked, read, params), AnswerLength(asked, params)]


def organism_requests(seed: int, per_rule: int = PER_RULE) -> list[RedTeamPrompt]:
    """Return requests of the organism's grammar, so many for each rule.

    Their carriers and words are those that it was never trained on.
    """
    from iteralign.organism.rules.requests import KINDS, make

    rng = random.Random(f"adherence-{seed}")
    found: dict[str, RedTeamPrompt] = {}
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


def ablate(
    directory: Path,
    rules: Sequence[str] | None = None,
    limit: int | None = None,
    listen: Callable[[Event], None] | None = None,
) -> list[dict[str, Any]]:
    """Answer a run's instructions again with each of these rules left out, and return what changes.

    Without ``rules``, each rule of the run in turn. Kept in the run. Raises ``RecipeError`` for a rule that
    the run does not have, and for a run of another method.
    """
    from iteralign.algorithms.ablation import ablation

    with Run.open(directory) as run:
        if run.settings.get("method") != "self-align":
            raise RecipeError(
                f"{directory} holds a run of the method {run.settings.get('method')}: "
                "only a Self-Align run has rules to leave out"
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
