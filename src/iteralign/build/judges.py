"""Judges that run in this process: guard models (or served ones), and chat models.

A part of the composition root. Decides nothing about the method.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iteralign.build.installed import must_be_there
from iteralign.build.models import EMBEDDED, fetch_weights, located
from iteralign.build.oracle import NO_KEY, chat_endpoints, chat_oracle, served
from iteralign.engines import gguf
from iteralign.errors import RecipeError
from iteralign.protocols import Continuing, Ledger, Oracle
from iteralign.recipe.iteralign import Recipe
from iteralign.records.iteralign import Checkpoint

if TYPE_CHECKING:
    from iteralign.oracles.local import ScoringPolicy


def runs_here(recipe: Recipe) -> bool:
    """Whether the judge's weights are loaded on this machine, by this process or one that it starts."""
    section = recipe.oracle
    return (
        section.kind == "local"
        or (section.kind == "guard" and section.base_url is None)
        or (section.kind == "chat" and section.engine == "vllm")
    )


def must_be_whole(recipe: Recipe) -> None:
    """Check, before anything is written, that a judge in this process has its files.

    Raises ``EngineError``.
    """
    model = recipe.oracle.model
    if not runs_here(recipe) or model is None or model in EMBEDDED:
        return
    from iteralign.engines.folders import must_be_whole as check

    must_be_there("a judge in this process")
    check(model)


def fetch(recipe: Recipe) -> None:
    """Download the weights of a judge in this process that are not in the cache yet.

    Raises ``EngineError``.
    """
    model = recipe.oracle.model
    if runs_here(recipe) and model is not None and model not in EMBEDDED and not gguf.is_gguf(model):
        fetch_weights(model)


def guard_oracle(recipe: Recipe, warn: Callable[[str], None], ledger: Ledger | None) -> Oracle:
    """A guard model, with what proposes and tells refusals in its place."""
    from iteralign.oracles.embedded.oracle import EmbeddedOracle
    from iteralign.oracles.guard.oracle import GuardOracle

    model = _named(recipe)
    family = _family(recipe, model, warn)
    embedded = EmbeddedOracle(seed=recipe.seed, intent=recipe.oracle.intent)
    proposer = proposer_of(recipe, warn, ledger)
    if proposer is None:
        proposer = embedded
        warn(
            f"{family.title} proposes no principles: the embedded oracle does. oracle.proposer names a chat "
            "model that does it better (oracle.proposer = embedded says that this is meant)"
        )
    if not family.tells_refusals:
        warn(
            f"{family.title} does not tell whether an answer refuses: the embedded oracle's rules do "
            "(over-refusal rests on them)"
        )
    return GuardOracle(
        _guard(recipe, model, warn, ledger),
        family,
        proposer,
        embedded,
        name=_shown(model),
        weights=_weights(recipe, model),
        threshold=recipe.oracle.threshold,
        warn=warn,
    )


def local_oracle(recipe: Recipe, warn: Callable[[str], None], ledger: Ledger | None) -> Oracle:
    """A chat model in this process, which proposes as well unless another oracle does."""
    from iteralign.data.categories import CATEGORIES
    from iteralign.oracles.local import LocalOracle

    model = _named(recipe)
    must_be_whole(recipe)
    weights = _weights(recipe, model)
    limit = recipe.oracle.max_tokens
    return LocalOracle(
        _scoring(recipe, _judge(recipe, model), warn),
        name=_shown(model),
        categories=CATEGORIES,
        weights=weights,
        threshold=recipe.oracle.threshold,
        proposer=proposer_of(recipe, warn, ledger),
        seed=recipe.seed,
        temperature=recipe.oracle.temperature,
        warn=warn,
        **({} if limit is None else {"max_new_tokens": limit}),
    )


def served_chat_oracle(recipe: Recipe, warn: Callable[[str], None]) -> Oracle:
    """A chat model that vLLM serves in a process of the run: asked and read as one behind an API is."""
    from iteralign.build.vllm import judge_chat
    from iteralign.data.categories import CATEGORIES
    from iteralign.oracles.chat.oracle import ChatOracle

    model = _named(recipe)
    must_be_whole(recipe)
    chat = judge_chat(recipe, _judge(recipe, model), located(), warn)
    limit = recipe.oracle.max_tokens
    return ChatOracle(
        chat,
        chat,
        name=_shown(model),
        categories=CATEGORIES,
        seed=recipe.seed,
        temperature=recipe.oracle.temperature,
        warn=warn,
        **({} if limit is None else {"max_new_tokens": limit}),
    )


def _judge(recipe: Recipe, model: str) -> Checkpoint:
    """A judge's weights as a checkpoint."""
    return Checkpoint(path=model, trainer_hash=model, weights_hash=_weights(recipe, model))


def _scoring(recipe: Recipe, judge: Checkpoint, warn: Callable[[str], None]) -> ScoringPolicy:
    """A judge that answers and scores, in this process or in one of vLLM."""
    if recipe.oracle.engine == "vllm":
        from iteralign.build.vllm import judge_host
        from iteralign.engines.vllm.policy import VLLMPolicy

        return VLLMPolicy(judge_host(recipe, located(), warn), judge)
    from iteralign.engines.hf.host import HFHost, HFPolicy, use_threads

    use_threads(recipe.model.threads)
    host = HFHost(
        device=recipe.model.device,
        dtype=recipe.oracle.dtype,
        batch_size=recipe.model.batch_size,
        locate=located(),
        warn=warn,
    )
    return HFPolicy(host, judge)


def proposer_of(recipe: Recipe, warn: Callable[[str], None], ledger: Ledger | None) -> Oracle | None:
    """Return what proposes in place of the judge: a chat model or the embedded oracle, where one is named."""
    named = recipe.oracle.proposer
    if named is None:
        return None
    if named == "embedded":
        from iteralign.oracles.embedded.oracle import EmbeddedOracle

        return EmbeddedOracle(seed=recipe.seed, intent=recipe.oracle.intent)
    ((_, url, key),) = chat_endpoints(recipe)
    own = {"kind": "chat", "model": named, "proposer": None, "base_url": url, "api_key_env": key}
    alone = recipe.model_copy(update={"oracle": recipe.oracle.model_copy(update=own)})
    return chat_oracle(alone, named, warn, ledger)


def _guard(recipe: Recipe, model: str, warn: Callable[[str], None], ledger: Ledger | None) -> Continuing:
    section = recipe.oracle
    if section.base_url is None:
        from iteralign.engines.hf.host import use_threads
        from iteralign.engines.hf.texts import TextHost

        use_threads(recipe.model.threads)
        here = TextHost(
            str(gguf.converted(model, warn)) if gguf.is_gguf(model) else model,
            device=recipe.model.device,
            dtype=section.dtype,
            batch_size=recipe.model.batch_size,
            warn=warn,
        )
        if section.engine == "hf":
            return here
        from iteralign.build.vllm import judge_texts

        return judge_texts(recipe, _judge(recipe, model), located(), warn, here)
    from iteralign.engines.openai.texts import ServedTexts

    settings = served(recipe, warn, ledger)
    if section.proposer_url not in (None, section.base_url):
        settings["api_key_env"] = NO_KEY  # the key is the proposer's
    return ServedTexts(model, **settings)


def _family(recipe: Recipe, model: str, warn: Callable[[str], None]) -> Any:
    """The guard's family: as the recipe says, else as its name, configuration and chat template show."""
    from iteralign.oracles.guard.families import family_of

    if not runs_here(recipe):
        return family_of(model, recipe.oracle.family)
    must_be_whole(recipe)
    from iteralign.engines.weights import bare_tokenizer, folder_of

    place = str(gguf.converted(model, warn)) if gguf.is_gguf(model) else model
    template = None if recipe.oracle.family else bare_tokenizer(place, warn).chat_template
    config = json.loads((folder_of(place, warn) / "config.json").read_text(encoding="utf-8"))
    architectures = [str(a) for a in config.get("architectures") or []]
    names = [str(config.get("_name_or_path", ""))]
    shown = template if isinstance(template, str) else None
    return family_of(model, recipe.oracle.family, names, shown, architectures)


def _named(recipe: Recipe) -> str:
    if recipe.oracle.model is None:
        raise RecipeError(
            f"oracle.model is missing: oracle.kind = {recipe.oracle.kind!r} needs the model that judges, "
            "a folder or a hub name"
        )
    return recipe.oracle.model


def _shown(model: str) -> str:
    """A model's name without the folders of this machine."""
    return Path(model).resolve().name if Path(model).is_dir() else model


def _weights(recipe: Recipe, model: str) -> str:
    """What a judge's weights are known by: a folder's hash, a hub's commit; empty for a server's."""
    if not runs_here(recipe):
        return ""
    if model in EMBEDDED:
        from iteralign.organism import fingerprint

        return fingerprint(model)
    from iteralign.engines.weights import commit_of, sampled_hash

    if gguf.is_gguf(model):
        return gguf.fingerprint(model)
    return sampled_hash(Path(model)) if Path(model).is_dir() else commit_of(model)
