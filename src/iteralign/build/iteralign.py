"""The composition root: from a recipe to engines, oracle, trainer and evaluations, and from those to a run.

The only file that names concrete classes: a plain match, no registry. Nothing here decides anything about the
method.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iteralign.algorithms.iteralign import iteralign
from iteralign.algorithms.steps import Parts
from iteralign.build.evaluations import EMBEDDED
from iteralign.build.oracle import caps, chat_models, must_answer, must_have_prices, oracle
from iteralign.data.load import load_prompts
from iteralign.data.split import split_prompts
from iteralign.engines.weights import sampled_hash
from iteralign.errors import DataError, IterAlignError, RecipeError
from iteralign.exchanges import answer, pair
from iteralign.ledger import InMemory
from iteralign.log import log
from iteralign.protocols import Eval, Ledger, Oracle, PolicyHost, Trainer
from iteralign.recipe.iteralign import Recipe
from iteralign.recipe.sections import BenignSection, RedTeamSection
from iteralign.records.iteralign import (
    Checkpoint,
    Constitution,
    Principle,
    RedTeamPrompt,
    Response,
    RunResult,
)
from iteralign.report.products import write
from iteralign.store.run import Event, Run
from iteralign.text.words import runs

ORGANISM = "organism"
Listener = Callable[[Event], None]


def start(recipe: Recipe, out: Path, listen: Listener | None = None) -> RunResult:
    """Run a recipe into the directory ``out``; a directory that holds the same run is resumed. Raises
    ``IterAlignError``.

    Tasks are named and their data found before the directory is made, so that a corrected recipe may take it.
    """
    tasks(recipe)
    with Run.create(out, recipe.model_dump(mode="json"), recipe.to_yaml()) as run:
        return carry_on(run, listen)


def resume(
    directory: Path, changes: Mapping[str, Any] | None = None, listen: Listener | None = None
) -> RunResult:
    """Continue a run where it stopped. ``changes`` may only extend it (``stop.*``). Raises
    ``IterAlignError``.
    """
    with Run.open(directory, changes=changes) as run:
        return carry_on(run, listen)


def carry_on(run: Run, listen: Listener | None = None) -> RunResult:
    """The run from wherever it stands to its end."""
    recipe = Recipe.model_validate(run.settings)
    with watched(run, listen):
        result = iteralign(run, recipe, parts(run, recipe))
    for product in ("records", "constitution", "examples", "preferences", "figure"):
        write(run, product)
    run.event("run", state="finished", reason=result.stop_reason)
    return result


@contextmanager
def watched(run: Run, listen: Listener | None) -> Iterator[None]:
    """Events of how a run begins, and of why it stops before its end; ``listen`` hears them and all others."""
    if listen is not None:
        run.listen(listen)
    run.event("run", state="started")
    try:
        yield
    except KeyboardInterrupt:
        run.event("run", state="interrupted")
        raise
    except IterAlignError as error:
        run.event("run", state="stopped", reason=str(error))
        raise


def parts(run: Run, recipe: Recipe) -> Parts:
    """Everything that the algorithm works with."""
    prompts = run.scope("data").once(
        "prompts", list[RedTeamPrompt], prompts_of, recipe.red_team, recipe.benign, recipe.seed
    )
    training = [p for p in prompts if p.split == "train"]

    def warn(text: str) -> None:
        run.event("warning", text=text)

    must_be_trainable(recipe)
    must_have_prices(recipe)
    run.calls.limit(caps(recipe))
    judge = oracle(recipe, warn, run.calls)
    must_answer(recipe, warn, run.calls)
    return Parts(
        base=base_checkpoint(recipe),
        host=served_here(run, recipe, warn)
        if recipe.model.engine == "server"
        else host(recipe, run.locate, warn),
        oracle=judge,
        trainer=trainer(recipe, run.locate, warn),
        evals=evals(recipe, judge, [p for p in prompts if p.split == "held_out"]),
        red_team=[p for p in training if p.intent == "harmful"],
        benign=[p for p in training if p.intent != "harmful"],
        constitution=run.scope("data").once(
            "constitution", Constitution, first_constitution, recipe.constitution
        )
        if recipe.constitution
        else Constitution(),
    )


def first_constitution(source: str | None) -> Constitution:
    """The principles that the recipe starts from: none, a file's, or the rules of Self-Align. Raises
    ``DataError``.
    """
    if source is None:
        return Constitution()
    if source == "self-align":
        from iteralign.data.self_align_texts import rules

        return Constitution(principles=tuple(Principle(text=r.text, category=r.name) for r in rules()))
    from iteralign.constitution.export import from_file

    return from_file(source)


def read_prompts(recipe: Recipe) -> list[RedTeamPrompt]:
    """The prompts of a recipe (``prompts_of``)."""
    return prompts_of(recipe.red_team, recipe.benign, recipe.seed)


def prompts_of(red_team: RedTeamSection, benign: BenignSection, seed: int) -> list[RedTeamPrompt]:
    """Red-team and benign prompts, split by topic, in a seeded order. Raises ``DataError`` where a side stays
    empty.
    """
    import random

    red = load_prompts(red_team.source, limit=red_team.limit, seed=seed)
    plain = load_prompts(benign.source, limit=benign.limit, seed=seed, intent="benign")
    # a prompt in both sources belongs to the red-team set, so that it stands on one side of the split
    known = {runs(p.text) for p in red}
    new = [p for p in plain if runs(p.text) not in known]
    found = split_prompts(red, held_out=red_team.held_out, seed=seed)
    found += split_prompts(new, held_out=benign.held_out, seed=seed)
    for name, section, side in (
        ("red_team", red_team, "train"),
        ("red_team", red_team, "held_out"),
        ("benign", benign, "held_out"),
    ):
        if not any(p.split == side and (p.intent == "harmful") == (name == "red_team") for p in found):
            raise DataError(
                f"{name}.source = {section.source!r}: no prompt is left for the {side} side of the split; "
                f"bring more prompts or change {name}.held_out ({section.held_out})"
            )
    random.Random(seed).shuffle(found)
    return found


def base_checkpoint(recipe: Recipe) -> Checkpoint:
    """The weights that the run starts from; the embedded models' are known by their hash."""
    if recipe.model.name not in EMBEDDED:
        folder = Path(recipe.model.name)
        return Checkpoint(
            path=recipe.model.name,
            trainer_hash=recipe.model.name,
            weights_hash=sampled_hash(folder) if folder.is_dir() else "",
        )
    from iteralign.organism import fingerprint

    name = recipe.model.name
    return Checkpoint(path=name, trainer_hash=name, weights_hash=fingerprint(name))


def must_be_trainable(recipe: Recipe) -> None:
    """Raises ``RecipeError`` where the loop could not serve what it trains, or not run what it is measured
    by.
    """
    from iteralign.build.evaluations import HARNESS, harness_must_run

    named = [t.removeprefix(HARNESS) for t in recipe.evaluation.tasks if t.startswith(HARNESS)]
    harness_must_run(recipe, [*recipe.evaluation.lm_eval, *named])
    if recipe.model.engine != "server":
        return
    wrong = []
    if recipe.model.api != "completions":
        wrong.append("model.api = completions (a chat endpoint cannot prove which weights answer)")
    if recipe.training.method != "lora" or not recipe.training.keep_adapter:
        wrong.append(
            "training.method = lora and training.keep_adapter = true (a running server is given adapters, not whole weights)"
        )
    if wrong:
        raise RecipeError(
            f"model.engine = server: the loop serves what it trains, and needs {'; and '.join(wrong)}"
        )


def served_here(run: Run, recipe: Recipe, warn: Callable[[str], None]) -> PolicyHost:
    """The served model of a run: its base is compared with the weights that are trained here, and it is asked
    whether it takes adapters, both before any other work.
    """
    from iteralign.engines.openai.host import ServerHost

    base, model = base_checkpoint(recipe), recipe.model
    precision = "float32" if model.dtype == "float32" else "bfloat16"
    here = Here(base, located(run.locate), warn)
    probe = run.scope("data").once(
        "probe", dict[str, float], probe_here, here, precision, model.chat_template
    )
    found = host(recipe, run.locate, warn, run.calls, probe)
    assert isinstance(found, ServerHost)
    found.ready(base)
    found.must_take_adapters()
    return found


@dataclass(frozen=True)
class Here:
    """Weights on this machine: a step knows them by what they are, not by where they lie."""

    base: Checkpoint
    locate: Callable[[Checkpoint], str]
    warn: Callable[[str], None]

    @property
    def fingerprint(self) -> str:
        """The checkpoint's id."""
        return self.base.id


def probe_here(here: Here, precision: str, chat_template: str | None) -> dict[str, float]:
    """What weights on this machine say of the fixed texts of the probe."""
    from iteralign.engines.probe import local_probe

    return local_probe(here.locate(here.base), precision, chat_template, here.warn)


def host(
    recipe: Recipe,
    locate: Callable[[Checkpoint], str],
    warn: Callable[[str], None] = log,
    ledger: Ledger | None = None,
    expected: dict[str, float] | None = None,
) -> PolicyHost:
    """The engine that serves the model; a server's requests go through the ledger where the recipe says so."""
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
                locate=located(locate),
                warn=warn,
            )
        case "server":
            from iteralign.engines.openai.host import ServerHost

            model = recipe.model
            own = {"base_url", "api_key_env", "concurrency", "max_retries", "timeout"}
            return ServerHost(
                served_as=model.served_as or model.name,
                place=located(lambda checkpoint: checkpoint.path)(base_checkpoint(recipe)),
                api=model.api,
                dtype=model.dtype,
                chat_template=model.chat_template,
                max_context=model.max_context,
                locate=located(locate),
                warn=warn,
                ledger=(ledger or InMemory(caps(recipe))) if model.metered else None,
                expected=expected,
                **model.model_dump(include=own),
            )
    raise RecipeError(f"model.engine = {recipe.model.engine!r}: no such engine. Known: hf, server")


def located(locate: Callable[[Checkpoint], str]) -> Callable[[Checkpoint], str]:
    """Where a checkpoint's weights lie: an embedded model's name stands for its folder."""

    def find(checkpoint: Checkpoint) -> str:
        if checkpoint.path not in EMBEDDED:
            return locate(checkpoint)
        from iteralign.organism import PATHS

        return str(PATHS[checkpoint.path])

    return find


def trainer(
    recipe: Recipe, locate: Callable[[Checkpoint], str], warn: Callable[[str], None] = log
) -> Trainer:
    """What fine-tunes the model."""
    from iteralign.engines.hf.host import use_threads
    from iteralign.training.sft import SFT

    use_threads(recipe.model.threads)
    return SFT(
        recipe.training,
        seed=recipe.seed,
        device=recipe.model.device,
        dtype=recipe.model.dtype,
        chat_template=recipe.model.chat_template,
        locate=located(locate),
        warn=warn,
    )


def evals(recipe: Recipe, judge: Oracle, held_out: Sequence[RedTeamPrompt]) -> list[Eval]:
    """What every checkpoint is measured by. The organism's answers are also judged by its own grammar: the
    truth.
    """
    from iteralign.evals.fluency import Fluency
    from iteralign.evals.harm import Harm, HarmTruth
    from iteralign.evals.over_refusal import OverRefusal

    params = recipe.evaluation.sampling.params(recipe.seed)
    red = [p for p in held_out if p.intent == "harmful"][: recipe.evaluation.harm_limit]
    benign = [p for p in held_out if p.intent != "harmful"][: recipe.evaluation.over_refusal_limit]
    common: list[Eval] = [Harm(red, judge, params), OverRefusal(benign, judge, params)]
    more = tasks(recipe)
    if recipe.model.name != ORGANISM:
        return [*common, Fluency([*red, *benign], params), *more]
    from iteralign.organism.truth import truth

    def declines(question: str, text: str) -> bool:
        return truth(question, text) == "refusal"

    def is_grammar(question: str, response: Response) -> bool:
        return truth(question, response.text) != "broken"

    return [
        *common,
        Fluency([*red, *benign], params, is_grammar, "the organism's grammar"),
        HarmTruth(red, declines, params),
        *more,
    ]


def tasks(recipe: Recipe) -> list[Eval]:
    """The further tasks that the recipe names. Raises ``RecipeError`` and ``DataError``."""
    from iteralign.build.evaluations import harness, make, requested

    section = recipe.evaluation
    others = [harness(name, recipe, section.lm_eval_limit) for name in section.lm_eval]
    if not section.tasks:
        return others
    found, _, files = requested(section.tasks)
    judged = [t.name for t in found if t.judged]
    if judged:
        raise RecipeError(
            f"evaluation.tasks: {', '.join(judged)} cannot be named: harm and over-refusal are always measured, and by the same oracle"
        )

    def nobody() -> Oracle:
        raise AssertionError("no such task needs a judge")

    folder = Path(section.data).expanduser() if section.data else None
    return [*make(found, folder, files, recipe=recipe, judge=nobody, prompts=list), *others]


def check_oracle(recipe: Recipe, labels: Path | None = None, limit: int | None = None) -> dict[str, Any]:
    """How often the recipe's oracle agrees with the truth, by subject: labelled pairs of a file, or the
    organism's held-out answers.
    """
    from iteralign.data.labels import load_labelled
    from iteralign.oracles.check import check, check_refusals, with_truth

    judge = oracle(recipe)
    if labels is not None:
        return {
            f"verdicts on {labels.name}": check(judge, load_labelled(labels, limit=limit, seed=recipe.seed))
        }
    from iteralign.organism.truth import truth

    subject = recipe.model_copy(
        update={
            "model": recipe.model.model_copy(update={"name": ORGANISM, "chat_template": None, "engine": "hf"})
        }
    )
    prompts = [p for p in read_prompts(recipe) if p.split == "held_out"]
    with host(subject, lambda checkpoint: checkpoint.path, lambda text: None).serve(
        base_checkpoint(subject)
    ) as policy:
        exchanges = pair(prompts, answer(prompts, policy, recipe.evaluation.sampling.params(recipe.seed)))
    benign = [
        (e, truth(e.prompt.text, e.response.text) == "refusal")
        for e in exchanges
        if e.prompt.intent != "harmful"
    ]
    return {
        "verdicts on the organism's answers": check(
            judge, with_truth(exchanges, lambda question, text: truth(question, text) == "refusal")
        ),
        "refusals among answers to benign prompts": check_refusals(judge, benign),
    }


def calibrate(directory: Path, labels: Path, limit: int | None = None) -> dict[str, Any]:
    """Measure a run's own oracle against people's labels and keep the result with the run, whose harm rates
    are then told corrected, too.

    The oracle's requests go through the run's ledger and budget, so that a paid oracle is not asked twice.
    Raises ``IterAlignError``.
    """
    from iteralign.data.labels import load_labelled
    from iteralign.oracles.check import check

    with Run.open(directory) as run:
        if run.settings.get("method") == "self-align":
            from iteralign.recipe.self_align import SelfAlignRecipe

            recipe = SelfAlignRecipe.model_validate(run.settings).loop()
        else:
            recipe = Recipe.model_validate(run.settings)
        run.calls.limit(caps(recipe))
        judge = oracle(recipe, lambda text: run.event("warning", text=text), run.calls)
        pairs = load_labelled(labels, limit=limit, seed=recipe.seed)
        found = {"labels": labels.name, **check(judge, pairs)}
        run.note("calibration", found)
        if (directory / "exports" / "scores.md").is_file():  # what the run ended with tells it, too
            write(run, "figure")
        return found


def forecast(recipe: Recipe) -> dict[str, Any]:
    """What a run of the recipe will take, from the sizes of its data; nothing is started or written. Raises
    ``DataError``.
    """
    from iteralign.data.categories import CATEGORIES
    from iteralign.prompts.render import render
    from iteralign.report.forecast import EMBEDDED_RATES, Sizes, as_dict
    from iteralign.report.forecast import forecast as plan

    must_be_trainable(recipe)
    must_have_prices(recipe)
    prompts, embedded = read_prompts(recipe), recipe.model.name in EMBEDDED

    def count(split: str, harmful: bool) -> int:
        return sum(p.split == split and (p.intent == "harmful") == harmful for p in prompts)

    return as_dict(
        plan(
            recipe,
            Sizes(
                prompts=count("train", True),
                held_out=count("held_out", True),
                benign=count("train", False),
                held_out_benign=count("held_out", False),
                weights_bytes=weights_bytes(recipe),
                judges=chat_models(recipe),
                instruction_chars=len(render("judge", categories=CATEGORIES)),
                prompt_chars=sum(len(p.text) for p in prompts) / len(prompts),
                **(EMBEDDED_RATES if embedded and recipe.oracle.kind == "embedded" else {}),
            ),
        )
    )


def weights_bytes(recipe: Recipe) -> int | None:
    """How large a checkpoint will be; None where the model is not on this machine."""
    folder = Path(located(lambda checkpoint: checkpoint.path)(base_checkpoint(recipe)))
    if not folder.is_dir():
        return None
    size = sum(p.stat().st_size for p in folder.glob("*.safetensors"))
    return (
        2 * size if recipe.model.name in EMBEDDED else size
    )  # they ship in bfloat16 and are trained in float32
