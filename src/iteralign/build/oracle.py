"""From a recipe's oracle section to an oracle: chat models, a jury, the embedded one, or a judge here.

Its budget, too, and the checks that come before any other work. A part of the composition root: decides
nothing about the method.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from iteralign.build import consent
from iteralign.errors import EngineError, RecipeError
from iteralign.ledger import Caps, InMemory, Price, R
from iteralign.log import log
from iteralign.protocols import Ledger, Oracle, PairJudge, Tried
from iteralign.recipe.iteralign import Recipe
from iteralign.recipe.load import AnyRecipe, shared
from iteralign.recipe.models import JurorSection
from iteralign.records.chat import Message, SamplingParams
from iteralign.store.run import Run

NO_KEY = "ITERALIGN_NO_KEY"
"""The variable of a server that no key is given to."""


def caps(recipe: Recipe) -> Caps:
    """What the recipe allows the run to spend."""
    budget = recipe.budget
    prices = {model: Price(p.input, p.output) for model, p in budget.prices.items()}
    return Caps(budget.calls, budget.tokens, budget.cost, prices)


def oracle_of(run: Run, recipe: Recipe, warn: Callable[[str], None]) -> Oracle:
    """Return a run's oracle, within the run's budget, after every chat model has answered and judged once.

    Raises ``RecipeError`` for a price that is not known, and ``EngineError`` for a model that does not
    answer, or cannot judge.
    """
    must_have_prices(recipe)
    run.calls.limit(caps(recipe))
    judge = oracle(recipe, warn, run.calls)
    known = must_answer(recipe, warn, run.calls)
    if not known:
        _must_work(run, recipe, judge, warn)
    return judge


def _must_work(run: Run, recipe: Recipe, judge: Oracle, warn: Callable[[str], None]) -> None:
    """Try an oracle that can be tried. Raises ``EngineError`` where it cannot judge."""
    if not isinstance(judge, Tried):
        return
    before = sum(row.calls for row in run.calls.spent())
    try:
        judge.must_work()
    except EngineError:
        if sum(row.calls for row in run.calls.spent()) > before:
            raise
        # so it replied in an earlier session, and the server may have been mended since
        anew = oracle(recipe, warn, _Anew(run.calls))
        if isinstance(anew, Tried):
            anew.must_work()


class _Anew:
    """A ledger that books as another one does, and remembers nothing (``protocols.Ledger``)."""

    def __init__(self, ledger: Ledger) -> None:
        self.admit = ledger.admit
        self.settle = ledger.settle

    def recall(self, key: str, kind: type[R]) -> R | None:
        """Nothing."""
        return None


def oracle(recipe: Recipe, warn: Callable[[str], None] = log, ledger: Ledger | None = None) -> Oracle:
    """Return what judges and proposes.

    A paid one's requests go through the ledger; where there is no run, through one that keeps the budget.
    Raises ``RecipeError`` where a key would be sent to a host that the user did not confirm.
    """
    must_be_allowed(recipe)
    ledger = InMemory(caps(recipe)) if ledger is None else ledger
    match recipe.oracle.kind:
        case "embedded":
            from iteralign.oracles.embedded.oracle import EmbeddedOracle

            return EmbeddedOracle(seed=recipe.seed, intent=recipe.oracle.intent)
        case "chat":
            if recipe.oracle.model is None:
                raise RecipeError(
                    "oracle.model is missing: oracle.kind = 'chat' needs the name of the model that judges"
                )
            if recipe.oracle.engine == "vllm":
                from iteralign.build.judges import served_chat_oracle

                return served_chat_oracle(recipe, warn)
            return chat_oracle(recipe, recipe.oracle.model, warn, ledger)
        case "jury":
            from iteralign.oracles.jury import Jury

            jurors = recipe.oracle.jurors
            return Jury([juror(recipe, section, warn, ledger) for section in jurors.values()], list(jurors))
        case "guard" | "local" as kind:
            from iteralign.build import judges

            make = judges.guard_oracle if kind == "guard" else judges.local_oracle
            return make(recipe, warn, ledger)
    raise RecipeError(
        f"oracle.kind = {recipe.oracle.kind!r}: no such oracle. Known: embedded, chat, jury, guard, local"
    )


def juror(
    recipe: Recipe, section: JurorSection, warn: Callable[[str], None], ledger: Ledger | None
) -> Oracle:
    """A member of a jury; what its section does not say is as the oracle's."""
    alone = dict(zip(("base_url", "api_key_env"), reached(recipe, section), strict=True))
    kind: dict[str, Any] = (
        {"kind": "embedded"} if section.model == "embedded" else {"kind": "chat", "model": section.model}
    )
    return oracle(
        recipe.model_copy(update={"oracle": recipe.oracle.model_copy(update={**alone, **kind})}), warn, ledger
    )


def pair_judge(recipe: Recipe, warn: Callable[[str], None], ledger: Ledger | None) -> PairJudge:
    """Return what compares two answers: the oracle's chat model, or the first one of a jury.

    Raises ``RecipeError`` where there is none, or its host is not confirmed.
    """
    must_be_allowed(recipe)
    endpoints = chat_endpoints(recipe)
    if not endpoints:
        raise RecipeError(
            "comparing answers needs a chat model: set oracle.kind = chat and oracle.model (the embedded "
            "oracle compares none)"
        )
    from iteralign.engines.openai.generator import OpenAIEngine
    from iteralign.oracles.chat.pair import ChatPairJudge

    model, url, key = endpoints[0]
    engine = OpenAIEngine(model, **served(recipe, warn, ledger) | {"base_url": url, "api_key_env": key})
    return ChatPairJudge(engine, name=model, seed=recipe.seed, warn=warn, **_room(recipe))


def reached(recipe: Recipe, section: JurorSection) -> tuple[str | None, str]:
    """Return a juror's address and key variable.

    The oracle's key goes to the oracle's server alone, never to another one.
    """
    own = section.base_url not in (None, recipe.oracle.base_url)
    return section.base_url or recipe.oracle.base_url, section.api_key_env or (
        NO_KEY if own else recipe.oracle.api_key_env
    )


def chat_oracle(recipe: Recipe, model: str, warn: Callable[[str], None], ledger: Ledger | None) -> Oracle:
    """A chat model, or one that judges and another that proposes."""
    from iteralign.data.categories import CATEGORIES
    from iteralign.engines.openai.generator import OpenAIEngine
    from iteralign.oracles.chat.oracle import ChatOracle

    section = recipe.oracle
    settings = served(recipe, warn, ledger)
    judge = OpenAIEngine(model, **settings)
    proposer = OpenAIEngine(section.proposer, **settings) if section.proposer else judge
    name = model if section.proposer is None else f"{model}+{section.proposer}"
    return ChatOracle(
        judge,
        proposer,
        name=name,
        categories=CATEGORIES,
        seed=recipe.seed,
        temperature=section.temperature,
        warn=warn,
        **_room(recipe),
    )


def _room(recipe: Recipe) -> dict[str, int]:
    """The limit of a reply, where the recipe says one."""
    limit = recipe.oracle.max_tokens
    return {} if limit is None else {"max_new_tokens": limit}


def served(recipe: Recipe, warn: Callable[[str], None], ledger: Ledger | None) -> dict[str, Any]:
    """How the oracle's server is reached, as its engine takes it."""
    own = {
        "base_url",
        "api_key_env",
        "concurrency",
        "max_retries",
        "timeout",
        "requests_per_minute",
        "tokens_per_minute",
    }
    return {**recipe.oracle.model_dump(include=own), "ledger": ledger, "warn": warn}


def chat_endpoints(recipe: Recipe) -> list[tuple[str, str | None, str]]:
    """The oracle's chat models with address and key variable, the proposer among them."""
    section = recipe.oracle
    match section.kind:
        case "chat" if section.engine == "vllm":
            return []
        case "chat":
            return [
                (m, section.base_url, section.api_key_env) for m in (section.model, section.proposer) if m
            ]
        case "jury":
            members = [j for j in section.jurors.values() if j.model != "embedded"]
            found = [(j.model, *reached(recipe, j)) for j in members]
            first = next(iter(section.jurors.values()))
            return (
                [*found, (section.proposer, *reached(recipe, first))]
                if section.proposer and first.model != "embedded"
                else found
            )
        case "guard" | "local" if section.proposer and section.proposer != "embedded":
            return [(section.proposer, section.proposer_url or section.base_url, section.api_key_env)]
    return []


def must_be_allowed(recipe: AnyRecipe) -> None:
    """Check that the keys of oracle and model may be sent where the recipe says, before anything is.

    And that the Python that it names may run. Raises ``RecipeError`` for what the user did not confirm.
    """
    loop = shared(recipe)
    replicas = loop.model.engine == "ray" and loop.model.ray.engine
    if "vllm" in (loop.model.engine, replicas, loop.oracle.engine):
        consent.python_must_be_allowed(loop.model.engine_python)
    found = [
        consent.Destination.of("oracle.api_key_env", url, variable)
        for _, url, variable in chat_endpoints(loop)
    ]
    judge = loop.oracle
    if judge.kind == "guard" and judge.base_url is not None:
        found.append(consent.Destination.of("oracle.api_key_env", judge.base_url, judge.api_key_env))
    model = loop.model
    if model.engine == "server":
        found.append(consent.Destination.of("model.api_key_env", model.base_url, model.api_key_env))
    consent.must_be_allowed(found)


def chat_models(recipe: Recipe) -> tuple[str, ...]:
    """The chat models that judge each answer."""
    section = recipe.oracle
    named = (
        [j.model for j in section.jurors.values()]
        if section.kind == "jury"
        else [section.model or ""]
        if section.kind == "chat"
        else []
    )
    return tuple(m for m in named if m != "embedded")


def must_have_prices(recipe: Recipe) -> None:
    """Raises ``RecipeError`` where a cap on cost could not be kept, for the price of a model is not known."""
    if recipe.budget.cost is None:
        return
    named = [m for m, _, _ in chat_endpoints(recipe)]
    named += (
        [recipe.model.served_as or recipe.model.name]
        if recipe.model.engine == "server" and recipe.model.metered
        else []
    )
    for model in named:
        if model not in recipe.budget.prices:
            example = f'{{"{model}": {{"input": 0.15, "output": 0.60}}}}'
            raise RecipeError(
                f"budget.cost = {recipe.budget.cost:g}, but the price of {model!r} is not known: add it per "
                "million tokens, for instance\n"
                f"  --set 'budget.prices={example}'"
            )


def must_answer(recipe: Recipe, warn: Callable[[str], None], ledger: Ledger) -> bool:
    """Ask every chat model for one word, once in a run.

    So a wrong key, name or address is found before any other work. Raises ``EngineError``. Returns whether
    an earlier version had asked them all: its runs go on, or show what they hold, without being asked again.
    """
    if not chat_endpoints(recipe):
        return False
    from iteralign.engines.openai.generator import OpenAIEngine
    from iteralign.oracles.chat.asking import said_nothing
    from iteralign.oracles.chat.oracle import LIMIT

    # with room for thoughts: some models spend a short limit on them, or refuse it
    params = SamplingParams(max_new_tokens=recipe.oracle.max_tokens or LIMIT, temperature=0.0)
    formerly = SamplingParams(max_new_tokens=16, temperature=0.0)
    word = (Message("user", "Say yes."),)
    known = True
    for model, url, key in dict.fromkeys(chat_endpoints(recipe)):
        engine = OpenAIEngine(model, **served(recipe, warn, ledger) | {"base_url": url, "api_key_env": key})
        if engine.remembers(word, formerly):
            continue
        known = False
        (outcome,) = engine.attempt([word], params)
        if isinstance(outcome, EngineError) and not said_nothing(outcome):
            raise outcome
    return known
