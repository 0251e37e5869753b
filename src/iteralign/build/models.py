"""From a recipe to its model: the weights that a run starts from, what serves them, and what trains them.

A part of the composition root: a plain match, no registry. Decides nothing about the method.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from iteralign.build.began import began
from iteralign.build.harness import HARNESS, harness_must_run
from iteralign.build.installed import must_be_installed
from iteralign.build.oracle import caps, must_be_allowed
from iteralign.engines import gguf
from iteralign.engines.facts import Began, Facts, no_run
from iteralign.engines.folders import must_be_whole as check_folder
from iteralign.engines.weights import base_of, commit_of, folder_of, sampled_hash
from iteralign.errors import RecipeError
from iteralign.ledger import InMemory
from iteralign.log import log
from iteralign.protocols import Ledger, PolicyHost, Trainer
from iteralign.recipe.iteralign import Recipe
from iteralign.recipe.self_align import SelfAlignRecipe
from iteralign.records.iteralign import Checkpoint
from iteralign.store.run import Run

ORGANISM: Final = "organism"
"""The embedded model whose answers its own grammar can judge: the truth."""
RULES: Final = "organism-rules"
"""The embedded model that follows rules in its context."""
EMBEDDED: Final = frozenset({ORGANISM, RULES})

Locate = Callable[[Checkpoint], str]
"""Where a checkpoint's weights lie: a folder, or a name on the hub."""


def in_place(checkpoint: Checkpoint) -> str:
    """Return a checkpoint's path as it is: where there is no run directory, it stands for itself."""
    return checkpoint.path


def located(locate: Locate = in_place) -> Locate:
    """Return ``locate``, but for an embedded model's name and a GGUF, which stand for a folder."""

    def find(checkpoint: Checkpoint) -> str:
        if checkpoint.path not in EMBEDDED:
            place = locate(checkpoint)
            return str(gguf.converted(place, log)) if gguf.is_gguf(place) else place
        from iteralign.organism import PATHS

        return str(PATHS[checkpoint.path])

    return find


def base_checkpoint(recipe: Recipe, since: Began | None = None) -> Checkpoint:
    """Return the weights that the run starts from; the embedded models' are known by their hash.

    A hub's model is known by its name, and where a run (``since``) began with another commit, by the commit.
    """
    name = recipe.model.name
    if name in EMBEDDED:
        from iteralign.organism import fingerprint

        return Checkpoint(path=name, trainer_hash=name, weights_hash=fingerprint(name))
    if gguf.is_gguf(name):
        return Checkpoint(path=name, trainer_hash=name, weights_hash=gguf.fingerprint(name))
    folder = Path(name)
    if folder.is_dir():
        return Checkpoint(path=name, trainer_hash=name, weights_hash=sampled_hash(folder))
    commit = commit_of(name) if since is not None else ""
    weights = commit if commit and since is not None and since(f"commit of {name}", commit) != commit else ""
    return Checkpoint(path=name, trainer_hash=name, weights_hash=weights)


def must_be_whole(recipe: Recipe | SelfAlignRecipe, *, trains: bool = True, planned: bool = False) -> None:
    """Check, before anything is written, that the model's files are all there.

    ``trains``: its weights are needed here, also where a server answers; ``planned``: nothing is started, so
    that a hub's model may still be missing. Raises ``EngineError``.
    """
    model = recipe.model
    if model.name in EMBEDDED:
        return
    if model.engine == "server" and not trains:
        if model.api == "chat" or model.served_as is None:
            return  # the name is the server's; its tokenizer is looked for when it is needed
        check_folder(model.name, weights=False, template=model.chat_template, planned=planned)
        return
    check_folder(model.name, template=model.chat_template, planned=planned)
    if not planned:
        _convert(model.name)


def _convert(name: str) -> None:
    """Make the folder of a GGUF that is not in the cache, or no more: adapters name it as their base."""
    if name not in EMBEDDED and gguf.is_gguf(name):
        gguf.converted(name, log)


def fetch(recipe: Recipe | SelfAlignRecipe) -> None:
    """Download a hub's model that is not in the cache yet, with the base of an adapter.

    Before a run has a directory, so that a mistyped name leaves none. Raises ``EngineError``.
    """
    name = recipe.model.name
    if name not in EMBEDDED and not gguf.is_gguf(name):
        fetch_weights(name)


def fetch_weights(name: str) -> None:
    """Download a model by its name, and check it as a folder is checked. Raises ``EngineError``."""
    base = base_of(str(folder_of(name, log)))
    if base is not None:
        folder_of(base, log)
    check_folder(name)


def built_in_template(recipe: Recipe | SelfAlignRecipe) -> str | None:
    """Return what a user should know where the model brings no chat template; None where it brings one."""
    from iteralign.engines.folders import brings_template

    model = recipe.model
    if model.name in EMBEDDED or model.chat_template is not None or model.api == "chat":
        return None
    if brings_template(model.name) is not False:
        return None
    return (
        f"{model.name} brings no chat template: the built-in one is used (`Question: ...`, then `Answer:`), "
        "as for a base model. If it was trained on a format of its own, give that: model.chat_template = FILE"
    )


def base_folder(recipe: Recipe) -> Path:
    """Return where the base model's weights lie, or will; no such folder where it is not on this machine."""
    name = recipe.model.name
    if name not in EMBEDDED and gguf.is_gguf(name):
        return gguf.folder_for(name) if gguf.is_ready(name) else Path(name)
    return Path(located()(base_checkpoint(recipe)))


def host_of(run: Run, recipe: Recipe, warn: Callable[[str], None]) -> PolicyHost:
    """Return what serves the model of a run that trains; a server is proved to be able to."""
    if recipe.model.engine == "server":
        return _served_here(run, recipe, warn)
    if recipe.model.engine in ("vllm", "ray"):
        return host(recipe, run.locate, warn, expected=_known_probe(run, recipe, warn), since=began(run))
    return host(recipe, run.locate, warn, since=began(run))


def _known_probe(run: Run, recipe: Recipe, warn: Callable[[str], None]) -> dict[str, float]:
    """Return what the base weights say of the probe here: what an engine of another process must say, too."""
    since = began(run)
    model = recipe.model
    precision = "float32" if model.dtype == "float32" else "bfloat16"
    facts = Facts(model.chat_template, "auto", since, warn)
    here = Here(base_checkpoint(recipe, since), located(run.locate), warn, facts)
    return run.scope("data").once("probe", dict[str, float], probe_here, here, precision, model.chat_template)


def _served_here(run: Run, recipe: Recipe, warn: Callable[[str], None]) -> PolicyHost:
    """Return the served model of a run.

    Its base is compared with the weights that are trained here, and it is asked whether it takes adapters.
    """
    from iteralign.engines.openai.host import ServerHost

    since = began(run)
    found = host(recipe, run.locate, warn, run.calls, _known_probe(run, recipe, warn), since)
    assert isinstance(found, ServerHost)
    found.ready(base_checkpoint(recipe, since))
    found.must_take_adapters()
    return found


@dataclass(frozen=True)
class Here:
    """Weights on this machine: a step knows them by what they are, not by where they lie."""

    base: Checkpoint
    locate: Locate
    warn: Callable[[str], None]
    facts: Facts

    @property
    def fingerprint(self) -> str:
        """The checkpoint's id, and what changed of the chat template since the run began."""
        return self.facts.fingerprint(self.base)


def probe_here(here: Here, precision: str, chat_template: str | None) -> dict[str, float]:
    """Return what weights on this machine say of the fixed texts of the probe."""
    from iteralign.engines.probe import local_probe

    return local_probe(here.locate(here.base), precision, chat_template, here.warn)


def host(
    recipe: Recipe,
    locate: Locate = in_place,
    warn: Callable[[str], None] = log,
    ledger: Ledger | None = None,
    expected: dict[str, float] | None = None,
    since: Began = no_run,
) -> PolicyHost:
    """Return the engine that serves the model.

    A server's requests go through the ledger where the recipe says so; ``expected`` are the log-probabilities
    (nats) that its base must give; ``since`` knows what the run began with.
    """
    must_be_installed(recipe, training=False)
    if recipe.model.engine != "server":
        _convert(recipe.model.name)
    known = None if expected is None else (located()(base_checkpoint(recipe)), expected)
    match recipe.model.engine:
        case "hf":
            from iteralign.engines.hf.host import HFHost, use_threads

            use_threads(recipe.model.threads)
            return HFHost(
                device=recipe.model.device,
                dtype=recipe.model.dtype,
                batch_size=recipe.model.batch_size,
                chat_template=recipe.model.chat_template,
                max_context=recipe.model.max_context,
                thoughts=recipe.model.thoughts,
                recorded=recipe.model.recorded_steps,
                locate=located(locate),
                warn=warn,
                expected=known,
                began=since,
            )
        case "vllm":
            from iteralign.build.vllm import policy_host

            return policy_host(recipe, located(locate), warn, since, known)
        case "ray":
            from iteralign.build.ray import ray_host

            return ray_host(recipe, located(locate), warn, since, expected)
        case "server":
            from iteralign.engines.openai.host import ServerHost

            must_be_allowed(recipe)
            model = recipe.model
            own = {"base_url", "api_key_env", "concurrency", "max_retries", "timeout"}
            return ServerHost(
                served_as=model.served_as or model.name,
                place=located()(base_checkpoint(recipe)),
                api=model.api,
                dtype=model.dtype,
                chat_template=model.chat_template,
                max_context=model.max_context,
                thoughts=model.thoughts,
                locate=located(locate),
                warn=warn,
                ledger=(ledger or InMemory(caps(recipe))) if model.metered else None,
                expected=expected,
                began=since,
                **model.model_dump(include=own),
            )
    raise RecipeError(f"model.engine = {recipe.model.engine!r}: no such engine. Known: hf, vllm, ray, server")


def trainer(
    recipe: Recipe,
    locate: Locate = in_place,
    warn: Callable[[str], None] = log,
    began: Recipe | None = None,
    since: Began = no_run,
) -> Trainer:
    """Return what fine-tunes the model. ``began``: the recipe that a run began with.

    ``since`` knows what the run began with, also whether adapters are kept: a model that changed its place
    does not change that.
    """
    must_be_installed(recipe, training=True)
    from iteralign.build.shape import settled, shape_of, width_of
    from iteralign.engines.hf.host import use_threads
    from iteralign.engines.turns import BATCH, take
    from iteralign.engines.weights import pick_device
    from iteralign.report.memory import training_bytes
    from iteralign.training.sft import SFT

    use_threads(recipe.model.threads)
    training = settled(recipe)
    if recipe.training.keep_adapter == "auto":
        kept = since(f"{training.method} keeps adapters", "yes" if training.keep_adapter else "no") == "yes"
        training = training.model_copy(update={"keep_adapter": kept})

    def needs() -> float:
        shape = shape_of(recipe)
        width = width_of(recipe, None)  # asked for on a GPU alone
        return math.inf if shape is None else training_bytes(shape, training, width=width) + BATCH

    def before() -> None:
        take(None, needs, device=pick_device(recipe.model.device))

    first = None if began is None else (began.training.settled_as(training), began.model.device)
    return SFT(
        training,
        seed=recipe.seed,
        device=recipe.model.device,
        dtype=recipe.model.dtype,
        chat_template=recipe.model.chat_template,
        locate=located(locate),
        before=before,
        warn=warn,
        began=first,
    )


def must_be_trainable(recipe: Recipe | SelfAlignRecipe) -> None:
    """Check that the run could serve what it trains, and run what it is measured by.

    Raises ``RecipeError``; for Self-Align it names the training that is meant.
    """
    if isinstance(recipe, Recipe):
        _must_be_trainable(recipe)
        return
    trainings = {"engrave": recipe.engrave.training}
    if recipe.clone.enabled:
        trainings["clone"] = recipe.clone.training
    for name, training in trainings.items():
        try:
            _must_be_trainable(recipe.loop(training))
        except RecipeError as error:
            raise RecipeError(str(error).replace("training.", f"{name}.training.")) from error


def _must_be_trainable(recipe: Recipe) -> None:
    named = [t.removeprefix(HARNESS) for t in recipe.evaluation.tasks if t.startswith(HARNESS)]
    harness_must_run(recipe, [*recipe.evaluation.lm_eval, *named])
    if recipe.model.engine != "server":
        return
    wrong = []
    if recipe.model.api != "completions":
        wrong.append("model.api = completions (a chat endpoint cannot prove which weights answer)")
    if recipe.training.method != "lora" or not recipe.training.keeps(None, served=True):
        wrong.append(
            "training.method = lora and training.keep_adapter = true "
            "(a running server is given adapters, not whole weights)"
        )
    if wrong:
        raise RecipeError(
            f"model.engine = server: the loop serves what it trains, and needs {'; and '.join(wrong)}"
        )
