"""The stages of Self-Align bound to one run: what each takes from the recipe, what its result depends on,
where it is stored.

Everything goes through ``once`` or ``each`` of the store, instructions in rounds and answers in shards: what
is in memory at once are the instructions kept and one shard of answers. What a stage does stands in
``stages``, and their order in ``self_align``.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial

from iteralign.canonical import content_hash
from iteralign.errors import TrainingError
from iteralign.protocols import Eval, Policy, PolicyHost, Trainer
from iteralign.recipe.self_align import SelfAlignRecipe
from iteralign.records.base import ids
from iteralign.records.chat import SamplingParams
from iteralign.records.iteralign import Checkpoint, EvalReport, TrainingExample
from iteralign.records.self_align import (
    Aligned,
    Draft,
    Harvest,
    Instruction,
    Measured,
    SelfAlignResult,
    Tally,
    WritingTask,
)
from iteralign.stages import align, clone, self_instruct
from iteralign.stages.align import Counting, Guide, Sieve
from iteralign.stages.engrave import identity_lessons, lessons
from iteralign.stages.self_instruct import Limits
from iteralign.store.run import Run, Scope
from iteralign.text.near_duplicates import NearDuplicates
from iteralign.text.words import words

BARREN, LEAST = 3, 0.01
"""After so many rounds in a row that keep less than this share of what they asked for, self-instruct ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What people wrote. ``prompts``: short system prompts, the standard one first; ``identity``: (request,
    answer); ``given``: instructions in place of stage 1; ``lines``: how many lines of each; ``measured``:
    prompts that are held out for measuring, which no instruction may be.
    """

    seeds: tuple[str, ...]
    topics: tuple[Instruction, ...]
    guide: Guide
    prompts: tuple[str, ...]
    identity: tuple[tuple[str, str], ...]
    given: tuple[Instruction, ...] = ()
    lines: Mapping[str, int] = field(default_factory=dict)
    measured: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the algorithm works with; ``build_self_align`` composes it. ``pairs``: compares each model with
    the first that it ran on.
    """

    base: Checkpoint
    host: PolicyHost
    engraver: Trainer
    cloner: Trainer
    evals: Sequence[Eval]
    words: Words
    pairs: Callable[[], Eval] | None = None


class Steps:
    """The stages, to be called in the order of ``self_align``."""

    def __init__(self, run: Run, recipe: SelfAlignRecipe, parts: Parts) -> None:
        self._run, self._recipe, self._parts = run, recipe, parts
        self._known = NearDuplicates(recipe.self_instruct.threshold)
        for text in (*parts.words.seeds, *(t.text for t in parts.words.topics)):
            self._known.keep(text)
        self._seen = content_hash([parts.words.seeds, ids(parts.words.topics)])
        """A hash of all that the index of near-duplicates was given, in order."""
        self._counts: Counter[str] = Counter()

    # ---- 1. instructions

    def given(self) -> list[Instruction] | None:
        """Instructions that were brought in place of stage 1, less what is held out for measuring; None where
        stage 1 is wanted.
        """
        if not self._parts.words.given:
            return None
        given, measured = self._parts.words.given, measured_words(self._parts.words.measured)
        kept = [i for i in given if tuple(words(i.text)) not in measured]
        if len(kept) < len(given):
            self._run.event(
                "warning",
                text=f"{len(given) - len(kept)} of {len(given)} given instructions are held out for measuring: left out",
            )
        self._counts["given"] = len(kept)
        return kept

    def self_instruct(self) -> list[Instruction]:
        """Rounds of ordinary self-instruct, until there are as many instructions as wanted."""
        section, seeds, kept = self._recipe.self_instruct, self._parts.words.seeds, list[Instruction]()
        barren = 0
        with self._parts.host.serve(self._parts.base) as policy:
            for number in range(section.rounds):
                if len(kept) >= section.prompts or barren == BARREN:
                    break
                scope = self._run.scope(f"self-instruct-{number + 1:04d}")
                tasks = self_instruct.ordinary_tasks(
                    seeds,
                    [i.text for i in kept] if section.new else (),
                    first=number * section.round,
                    count=section.round,
                    shown=section.shown,
                    new=section.new,
                    wanted=section.wanted,
                    seed=f"{self._recipe.seed}-self-instruct-{number}",
                )
                drafts = self._write(
                    scope, policy, tasks, section.sampling.params(self._recipe.seed + number)
                )
                found = self._keep(
                    scope, drafts, partial(self_instruct.harvest, drafts, self._known, self._limits)
                )
                barren = 0 if len(found) >= LEAST * section.round * section.wanted else barren + 1
                kept += found
        self._counts["self-instruct"] = min(len(kept), section.prompts)
        self._must_have("self-instruct", section.prompts, kept)
        return kept[: section.prompts]

    def topic_guided(self) -> list[Instruction]:
        """Rounds of brainstorming topics, then an instruction for each type and topic."""
        section, seeds, kept = self._recipe.topics, self._parts.words.topics, list[Instruction]()
        if not section.rounds:
            return []
        with self._parts.host.serve(self._parts.base) as policy:
            topics = self._topics(policy)
            own = {(s.type, s.topic) for s in seeds}
            pairs = [
                (name, topic) for name, found in topics.items() for topic in found if (name, topic) not in own
            ]
            random.Random(f"{self._recipe.seed}-pairs").shuffle(pairs)
            for attempt in range(section.attempts):
                done = {(i.type, i.topic) for i in kept}
                left = [p for p in pairs if p not in done]
                for first in range(0, len(left), section.round):
                    part, name = (
                        left[first : first + section.round],
                        f"{attempt + 1}-{first // section.round + 1:04d}",
                    )
                    scope, seed = (
                        self._run.scope(f"topic-requests-{name}"),
                        f"{self._recipe.seed}-topic-requests-{name}",
                    )
                    tasks = self_instruct.request_tasks(
                        part,
                        seeds,
                        kept,
                        first=attempt * len(pairs) + first,
                        shown=section.shown,
                        new=section.new,
                        seed=seed,
                    )
                    drafts = self._write(
                        scope, policy, tasks, section.sampling.params(self._recipe.seed + attempt)
                    )
                    kept += self._keep(
                        scope,
                        drafts,
                        partial(self_instruct.harvest_requests, tasks, drafts, self._known, self._limits),
                    )
        self._counts["topic-guided"] = len(kept)
        self._must_have("topic-guided", len(pairs), kept)
        return kept

    def _topics(self, policy: Policy) -> dict[str, list[str]]:
        """Topics by type, the types equalised."""
        section = self._recipe.topics
        topics: dict[str, list[str]] = {}
        for seed in self._parts.words.topics:
            topics.setdefault(seed.type or "", []).append(seed.topic or "")
        count, dropped = len(topics) * section.requests, Counter[str]()
        for number in range(section.rounds):
            scope, seed_text = (
                self._run.scope(f"topics-{number + 1:04d}"),
                f"{self._recipe.seed}-topics-{number}",
            )
            tasks = self_instruct.topic_tasks(
                topics, first=number * count, per_type=section.requests, wanted=section.wanted, seed=seed_text
            )
            drafts = self._write(scope, policy, tasks, section.sampling.params(self._recipe.seed + number))
            topics, reasons = self_instruct.new_topics(topics, tasks, drafts)
            dropped.update(reasons)
        self._run.scope("topics").once(
            "dropped", dict[str, int], lambda: dict(sorted(dropped.items())), topics
        )
        least = min(topics, key=lambda name: len(topics[name]))
        if len(topics[least]) < 3:
            text = f"topics: all types are cut to the {len(topics[least])} of {least!r}, which got the fewest: raise topics.rounds, or leave it out"
            self._run.event("warning", text=text)
        topics = self_instruct.equalised(topics, section.per_type)
        return self._run.scope("topics").once("topics", dict[str, list[str]], lambda: topics, topics)

    def _write(
        self, scope: Scope, policy: Policy, tasks: Sequence[WritingTask], params: SamplingParams
    ) -> list[Draft]:
        ask = partial(self_instruct.write, policy, params=params)
        return scope.each(
            "drafts",
            Draft,
            tasks,
            ask,
            self._parts.base.id,
            params,
            self_instruct.TEMPLATES,
            chunk=len(tasks) or 1,
        )

    @property
    def _limits(self) -> Limits:
        section = self._recipe.self_instruct
        return Limits(section.shortest, section.longest, measured_words(self._parts.words.measured))

    def _keep(
        self, scope: Scope, drafts: Sequence[Draft], harvest: Callable[[], Harvest]
    ) -> tuple[Instruction, ...]:
        """What a round keeps; the index of near-duplicates knows it afterwards, whether it was computed now
        or before.
        """
        fresh: list[Harvest] = []

        def compute() -> Harvest:
            fresh.append(harvest())
            return fresh[0]

        limits = (
            self._limits.shortest,
            self._limits.longest,
            sorted(self._parts.words.measured),
            self._recipe.self_instruct.threshold,
        )
        found = scope.once("kept", Harvest, compute, ids(drafts), limits, self._seen)
        for instruction in () if fresh else found.kept:
            self._known.keep(instruction.text)
        self._seen = content_hash([self._seen, ids(found.kept)])
        return found.kept

    def _must_have(self, what: str, wanted: int, kept: Sequence[Instruction]) -> None:
        if wanted and len(kept) < wanted:
            self._run.event(
                "warning",
                text=f"{what}: {len(kept)} of {wanted} instructions were kept; why: iteralign show {self._run.directory} instructions",
            )

    # ---- 2. and 4. answers

    def align(
        self, instructions: Sequence[Instruction], guide: Guide | None = None, name: str = "align"
    ) -> Answers:
        """The base model's answers under the rules, sifted. ``guide`` and ``name``: of an ablation."""
        section, guide = self._recipe.align, guide or self._parts.words.guide
        params = replace(
            section.sampling.params(self._recipe.seed), stream="question"
        )  # the same with other rules: see the ablation
        sieve = Sieve(section.leak_words, section.shortest_cut)
        think = partial(align.think_and_answer, guide=guide, params=params, sieve=sieve)
        return self._answers(
            name,
            self._parts.base,
            instructions,
            think,
            guide.chat,
            params,
            section.leak_words,
            section.shortest_cut,
            align.TEMPLATES,
        )

    def answer_at_length(self, model: Checkpoint, instructions: Sequence[Instruction]) -> Answers:
        """The engraved model's answers under the extensive prompt, sifted."""
        section, assistant = self._recipe.clone, self._recipe.assistant
        params, limits = section.params(self._recipe.seed), (section.shortest, section.leak_words)
        speak = partial(
            clone.answer_at_length,
            assistant=assistant,
            params=params,
            shortest=section.shortest,
            leak_words=section.leak_words,
        )
        return self._answers("clone", model, instructions, speak, assistant, params, limits, clone.TEMPLATES)

    def _answers(
        self,
        name: str,
        model: Checkpoint,
        instructions: Sequence[Instruction],
        ask: Callable[..., list[Aligned]],
        *inputs: object,
    ) -> Answers:
        """Shard by shard, so that a shard's answers are all that is held in memory."""
        counting, size, shards = Counting(), self._recipe.shard, list[tuple[str, Sequence[Instruction]]]()
        with self._parts.host.serve(model) as policy:
            for number, first in enumerate(range(0, len(instructions), size), start=1):
                part, scope = instructions[first : first + size], self._run.scope(f"{name}-{number:04d}")
                speak = partial(_asked, ask, policy)
                counting.add(
                    part, scope.each("answers", Aligned, part, speak, model.id, *inputs, chunk=self._chunk)
                )
                shards.append((scope.name, part))
        tally = counting.tally()
        unruled = tally.kept - counting.ruled
        if name == "align" and unruled > tally.kept / 2:
            text = f"{unruled} of {tally.kept} answers name no rule: engraving them teaches little. Do the exemplars show how the rules are named?"
            self._run.event("warning", text=text)
        return Answers(self._run, shards, self._run.scope(name).once("tally", Tally, lambda: tally, tally.id))

    @property
    def _chunk(self) -> int:
        model = self._recipe.model
        return max(96, 2 * (model.concurrency if model.engine == "server" else model.batch_size))

    # ---- 3. and 4. training

    def engrave(self, answers: Answers) -> Checkpoint:
        """The base, trained on the kept answers: under the standard short prompt, or none."""
        identity = self._recipe.engrave.identity
        return self._train(
            "engraved",
            self._parts.engraver,
            answers,
            (self._parts.words.prompts[0], ""),
            "engraving",
            identity,
        )

    def clone(self, answers: Answers) -> Checkpoint:
        """The base, trained on the extensive answers under one of the short prompts, or none."""
        return self._train(
            "cloned",
            self._parts.cloner,
            answers,
            (*self._parts.words.prompts, ""),
            "cloning",
            self._recipe.clone.identity,
        )

    def _train(
        self,
        name: str,
        trainer: Trainer,
        answers: Answers,
        prompts: Sequence[str],
        source: str,
        identity: int,
    ) -> Checkpoint:
        base, tally = self._parts.base, answers.tally
        if not tally.kept:
            why = (
                ", ".join(f"{n} {reason}" for reason, n in sorted(tally.dropped.items(), key=lambda x: -x[1]))
                or "there was no instruction"
            )
            raise TrainingError(
                f"{source}: none of {tally.asked} answers was kept ({why}), so there is nothing to learn: look at `iteralign show RUN answers`"
            )
        examples = Lessons(
            answers, prompts, source, list(identity_lessons(self._parts.words.identity, prompts, identity))
        )
        inputs = (
            answers.tally.digest,
            list(prompts),
            self._parts.words.identity,
            identity,
            base.id,
            trainer.fingerprint,
        )
        return self._run.checkpoint(name, lambda out: trainer.finetune(base, examples, out), *inputs)

    # ---- measuring

    def measure(self, stage: str, checkpoint: Checkpoint) -> Measured:
        """A model with every evaluation's report; a checkpoint is never measured twice."""
        scope = self._run.scope(f"evaluation-{checkpoint.id}")

        def compute() -> list[EvalReport]:
            with self._parts.host.serve(checkpoint) as policy:
                return [e.run(policy, scope) for e in self._parts.evals]

        reports = self._run.scope(f"measured-{stage}").once(
            "reports", list[EvalReport], compute, checkpoint.id
        )
        return Measured(stage=stage, checkpoint=checkpoint, reports=tuple(reports))  # type: ignore[arg-type]

    def compare(self, before: Measured, after: Measured) -> EvalReport | None:
        """Answers to open questions after cloning, judged against those before it; None where that is not
        wanted.
        """
        if self._parts.pairs is None:
            return None
        pairs = self._parts.pairs()

        def compute() -> EvalReport:
            for model in (before, after):
                with self._parts.host.serve(model.checkpoint) as policy:
                    found = pairs.run(policy, self._run.scope(f"evaluation-{model.checkpoint.id}"))
            return found

        return self._run.scope("helpfulness").once(
            "report", EvalReport, compute, before.checkpoint.id, after.checkpoint.id
        )

    def result(
        self,
        models: Sequence[Measured],
        answers: Answers,
        extensive: Answers | None = None,
        helpfulness: EvalReport | None = None,
    ) -> SelfAlignResult:
        """What the run came to, stored."""
        result = SelfAlignResult(
            models=tuple(models),
            instructions={k: n for k, n in self._counts.items() if n},
            aligned=answers.tally,
            cloned=None if extensive is None else extensive.tally,
            human_lines=dict(self._parts.words.lines),
            helpfulness=helpfulness,
        )
        return self._run.scope("run").once("result", SelfAlignResult, lambda: result, result.id)


class Answers:
    """Answers of a stage, stored in shards and read from there shard by shard."""

    def __init__(self, run: Run, shards: Sequence[tuple[str, Sequence[Instruction]]], tally: Tally) -> None:
        self._run, self._shards, self.tally = run, shards, tally

    def __iter__(self) -> Iterator[tuple[Sequence[Instruction], list[Aligned]]]:
        for scope, instructions in self._shards:
            by_id = {a.instruction_id: a for a in self._run.read(Aligned, scope, "answers")}
            yield instructions, [by_id[i.id] for i in instructions]


class Lessons(Collection[TrainingExample]):
    """Training examples made from stored answers each time they are walked through."""

    def __init__(
        self, answers: Answers, prompts: Sequence[str], source: str, more: Sequence[TrainingExample]
    ) -> None:
        self._answers, self._prompts, self._source, self._more = answers, prompts, source, more

    def __iter__(self) -> Iterator[TrainingExample]:
        for instructions, answers in self._answers:
            yield from lessons(instructions, answers, self._prompts, self._source)
        yield from self._more

    def __len__(self) -> int:
        return self._answers.tally.kept + len(self._more)

    def __contains__(self, item: object) -> bool:
        return any(e == item for e in self)


def _asked(
    ask: Callable[..., list[Aligned]], policy: Policy, instructions: Sequence[Instruction]
) -> list[Aligned]:
    return ask(policy, instructions=instructions)


@cache
def measured_words(texts: frozenset[str]) -> frozenset[tuple[str, ...]]:
    """Prompts without case and punctuation."""
    return frozenset(tuple(words(t)) for t in texts)
