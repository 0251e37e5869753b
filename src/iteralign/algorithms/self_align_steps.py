"""The stages of Self-Align bound to one run: what each takes from the recipe, what its result depends on,
where it is stored.

Everything goes through ``once`` or ``each`` of the store, instructions in rounds and answers in shards: what
is in memory at once are the instructions kept and one shard of answers. What a stage does stands in
``stages``, and their order in ``self_align``.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from iteralign.algorithms.self_align_answers import Answers, Lessons
from iteralign.algorithms.self_align_parts import Parts, Words
from iteralign.algorithms.watch import Watch
from iteralign.errors import TrainingError
from iteralign.exchanges import paced
from iteralign.protocols import Policy, Trainer
from iteralign.recipe.self_align import SelfAlignRecipe
from iteralign.records.chat import SamplingParams
from iteralign.records.iteralign import Checkpoint, EvalReport
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
from iteralign.stages.engrave import identity_lessons
from iteralign.stages.finetune import train
from iteralign.stages.self_instruct import Limits
from iteralign.store.run import Run, Scope
from iteralign.store.steps import given
from iteralign.text.near_duplicates import NearDuplicates
from iteralign.text.printable import count_of
from iteralign.text.similarity import near_any

__all__ = ["Parts", "Steps", "Words"]

BARREN, LEAST = 3, 0.01
"""After so many rounds in a row that keep less than this share of what they asked for, self-instruct ends."""


class Steps:
    """The stages, to be called in the order of ``self_align``."""

    def __init__(self, run: Run, recipe: SelfAlignRecipe, parts: Parts) -> None:
        self._run = run
        self._recipe = recipe
        self._parts = parts
        self._watch = Watch(run)

    # ---- 1. instructions

    def given(self) -> list[Instruction] | None:
        """Instructions that were brought in place of stage 1, less what is held out for measuring; None where
        stage 1 is wanted.
        """
        if not self._parts.words.given:
            return None
        given = self._parts.words.given
        leaked = near_any([i.text for i in given], sorted(self._parts.words.measured))
        kept = [i for i, near in zip(given, leaked, strict=True) if not near]
        if len(kept) < len(given):
            self._run.event(
                "warning",
                text=f"{len(given) - len(kept)} of {len(given)} given instructions are held out for "
                "measuring, or near-duplicates of what is: left out",
            )
        return kept

    def known(self) -> NearDuplicates:
        """What new instructions must not repeat: the seeds; stage 1 adds to it what it keeps."""
        index = NearDuplicates(self._recipe.self_instruct.threshold)
        for text in (*self._parts.words.seeds, *(t.text for t in self._parts.words.topics)):
            index.keep(text)
        return index

    def self_instruct(self, known: NearDuplicates) -> list[Instruction]:
        """Rounds of ordinary self-instruct, until there are as many instructions as wanted."""
        section = self._recipe.self_instruct
        kept: list[Instruction] = []
        barren = 0
        with self._parts.host.serve(self._parts.base) as policy:
            for number in range(section.rounds):
                if len(kept) >= section.prompts or barren == BARREN:
                    break
                scope = self._run.scope(f"self-instruct-{number + 1:04d}")
                tasks = self_instruct.ordinary_tasks(
                    self._parts.words.seeds,
                    [i.text for i in kept] if section.new else (),
                    first=number * section.round,
                    count=section.round,
                    shown=section.shown,
                    new=section.new,
                    wanted=section.wanted,
                    seed=f"{self._recipe.seed}-self-instruct-{number}",
                )
                sampling = section.sampling.params(self._recipe.seed + number)
                drafts = self._write(scope, policy, tasks, sampling)
                found = self._keep(scope, known, self_instruct.harvest, drafts)
                barren = 0 if len(found) >= LEAST * section.round * section.wanted else barren + 1
                kept += found
        self._must_have("self-instruct", section.prompts, kept)
        return kept[: section.prompts]

    def topic_guided(self, known: NearDuplicates) -> list[Instruction]:
        """Rounds of brainstorming topics, then an instruction for each type and topic."""
        section = self._recipe.topics
        seeds = self._parts.words.topics
        kept: list[Instruction] = []
        if not section.rounds:
            return []
        with self._parts.host.serve(self._parts.base) as policy:
            topics = self._topics(policy)
            own = {(s.type, s.topic) for s in seeds}
            pairs = [(kind, t) for kind, found in topics.items() for t in found if (kind, t) not in own]
            random.Random(f"{self._recipe.seed}-pairs").shuffle(pairs)
            for attempt in range(section.attempts):
                done = {(i.type, i.topic) for i in kept}
                left = [p for p in pairs if p not in done]
                for first in range(0, len(left), section.round):
                    name = f"topic-requests-{attempt + 1}-{first // section.round + 1:04d}"
                    scope = self._run.scope(name)
                    tasks = self_instruct.request_tasks(
                        left[first : first + section.round],
                        seeds,
                        kept,
                        first=attempt * len(pairs) + first,
                        shown=section.shown,
                        new=section.new,
                        seed=f"{self._recipe.seed}-{name}",
                    )
                    sampling = section.sampling.params(self._recipe.seed + attempt)
                    drafts = self._write(scope, policy, tasks, sampling)
                    kept += self._keep(scope, known, self_instruct.harvest_requests, tasks, drafts)
        self._must_have("topic-guided", len(pairs), kept)
        return kept

    def _topics(self, policy: Policy) -> dict[str, list[str]]:
        """Topics by type, the types equalised."""
        section = self._recipe.topics
        topics: dict[str, list[str]] = {}
        for seed in self._parts.words.topics:
            topics.setdefault(seed.type or "", []).append(seed.topic or "")
        count = len(topics) * section.requests
        dropped: Counter[str] = Counter()
        for number in range(section.rounds):
            scope = self._run.scope(f"topics-{number + 1:04d}")
            tasks = self_instruct.topic_tasks(
                topics,
                first=number * count,
                per_type=section.requests,
                wanted=section.wanted,
                seed=f"{self._recipe.seed}-topics-{number}",
            )
            drafts = self._write(scope, policy, tasks, section.sampling.params(self._recipe.seed + number))
            topics, reasons = self_instruct.new_topics(topics, tasks, drafts)
            dropped.update(reasons)
        scope = self._run.scope("topics")
        scope.once("dropped", dict[str, int], given, dict(sorted(dropped.items())))
        least = min(topics, key=lambda name: len(topics[name]))
        if len(topics[least]) < 3:
            self._run.event(
                "warning",
                text=f"topics: all types are cut to the {len(topics[least])} of {least!r}, "
                "which got the fewest: raise topics.rounds, or leave it out",
            )
        topics = self_instruct.equalised(topics, section.per_type)
        return scope.once("topics", dict[str, list[str]], given, topics)

    def _write(
        self, scope: Scope, policy: Policy, tasks: Sequence[WritingTask], params: SamplingParams
    ) -> list[Draft]:
        write = self_instruct.write
        # equal requests take their draws by their place among each other: such a round is one part
        distinct = len({t.chat for t in tasks}) == len(tasks)
        whole = len(tasks) or 1
        chunk = paced(policy, _asked, new=params.max_new_tokens, most=whole) if distinct else whole
        drafts = scope.each("drafts", Draft, write, tasks, policy, params, chunk=chunk)
        reasons = (d.reason for d in drafts if d.reason)
        self._watch.left_out("requests for instructions", scope.name, reasons, len(drafts))
        return drafts

    def _keep(
        self, scope: Scope, known: NearDuplicates, harvest: Callable[..., Harvest], *args: object
    ) -> tuple[Instruction, ...]:
        """What a round keeps; ``known`` has it afterwards, whether it was found now or before."""
        section = self._recipe.self_instruct
        limits = Limits(section.shortest, section.longest, self._parts.words.measured)
        before = len(known)
        found = scope.once("kept", Harvest, harvest, *args, known, limits)
        if len(known) == before:  # found before: nothing was harvested now
            for instruction in found.kept:
                known.keep(instruction.text)
        return found.kept

    def _must_have(self, what: str, wanted: int, kept: Sequence[Instruction]) -> None:
        if wanted and len(kept) < wanted:
            self._run.event(
                "warning",
                text=f"{what}: {len(kept)} of {wanted} instructions were kept; why: iteralign show "
                f"{self._run.directory} instructions",
            )

    # ---- 2. and 4. answers

    def align(
        self, instructions: Sequence[Instruction], guide: Guide | None = None, name: str = "align"
    ) -> Answers:
        """The base model's answers under the rules, sifted. ``guide`` and ``name``: of an ablation."""
        section = self._recipe.align
        guide = guide or self._parts.words.guide
        # the same streams whatever the rules are: an ablation compares answer with answer
        params = replace(section.sampling.params(self._recipe.seed), stream="question")
        sieve = Sieve(section.leak_words, section.shortest_cut)
        ask = align.think_and_answer
        longest = section.sampling.max_new_tokens
        return self._answers(name, self._parts.base, instructions, longest, ask, guide, params, sieve)

    def answer_at_length(self, model: Checkpoint, instructions: Sequence[Instruction]) -> Answers:
        """The engraved model's answers under the extensive prompt, sifted."""
        section = self._recipe.clone
        prompt = clone.extensive(self._recipe.assistant)
        params = section.params(self._recipe.seed)
        limits = (section.shortest, section.leak_words)
        ask = clone.answer_at_length
        longest = params.max_new_tokens
        return self._answers("clone", model, instructions, longest, ask, prompt, params, *limits)

    def _answers(
        self,
        name: str,
        model: Checkpoint,
        instructions: Sequence[Instruction],
        longest: int,
        ask: Callable[..., list[Aligned]],
        *args: object,
    ) -> Answers:
        """Shard by shard, so that a shard's answers are all that is held in memory."""
        counting = Counting()
        size = self._recipe.shard
        stage = "extensive answers" if name == "clone" else "answers under the rules"
        key = "clone.sampling.max_new_tokens" if name == "clone" else "align.sampling.max_new_tokens"
        shards: list[tuple[str, Sequence[Instruction]]] = []
        with self._parts.host.serve(model) as policy:
            for number, first in enumerate(range(0, len(instructions), size), start=1):
                part = instructions[first : first + size]
                scope = self._run.scope(f"{name}-{number:04d}")
                chunk = paced(policy, _text, new=longest)
                answers = scope.each("answers", Aligned, ask, part, policy, *args, chunk=chunk)
                counting.add(part, answers)
                self._watch.answers(stage, scope.name, answers, key=key, most=longest)
                shards.append((scope.name, part))
        tally = counting.tally()
        unruled = tally.kept - counting.ruled
        if name == "align" and unruled > tally.kept / 2:
            self._run.event(
                "warning",
                text=f"{unruled} of {tally.kept} answers name no rule: engraving them teaches little. "
                "Do the exemplars show how the rules are named?",
            )
        return Answers(self._run, shards, self._run.scope(name).once("tally", Tally, given, tally))

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
        tally = answers.tally
        if not tally.kept:
            reasons = sorted(tally.dropped.items(), key=lambda x: -x[1])
            why = ", ".join(f"{n} {reason}" for reason, n in reasons) or "there was no instruction"
            raise TrainingError(
                f"{source}: none of {tally.asked} answers was kept ({why}), so there is nothing to learn: "
                "look at `iteralign show RUN answers`"
            )
        self._must_be_enough(name, source, tally.kept)
        more = list(identity_lessons(self._parts.words.identity, prompts, identity))
        examples = Lessons(answers, prompts, source, more)
        return self._run.checkpoint(name, train, trainer, self._parts.base, examples)

    def _must_be_enough(self, name: str, source: str, kept: int) -> None:
        """Raises ``TrainingError`` where there is less to learn than the recipe asks for."""
        key, training = {
            "engraved": ("engrave.training.min_lessons", self._recipe.engrave.training),
            "cloned": ("clone.training.min_lessons", self._recipe.clone.training),
        }[name]
        done = self._run.read(Checkpoint, "checkpoints", name)  # by an older version, which took any number
        if kept < training.min_lessons and not done:
            raise TrainingError(
                f"{source}: {count_of(kept, 'answer')} kept, fewer than {key} = {training.min_lessons}: "
                "nothing is trained. Why the others were dropped: iteralign show "
                f"{self._run.directory} answers. Begin a run with more instructions, or a smaller {key}"
            )

    # ---- measuring

    def measure(self, stage: str, checkpoint: Checkpoint) -> Measured:
        """A model with every evaluation's report; nothing is answered or judged twice."""
        scope = self._run.scope(f"evaluation-{checkpoint.id}")
        with self._parts.host.serve(checkpoint) as policy:
            found = [e.run(policy, scope) for e in self._parts.evals]
        self._watch.reports(scope.name, found)
        reports = self._run.scope(f"measured-{stage}").once("reports", list[EvalReport], given, found)
        return Measured(stage=stage, checkpoint=checkpoint, reports=tuple(reports))  # type: ignore[arg-type]

    def compare(self, before: Measured, after: Measured) -> EvalReport | None:
        """Answers to open questions after cloning, judged against those before it; None where that is not
        wanted.
        """
        if self._parts.pairs is None:
            return None
        pairs = self._parts.pairs()
        for model in (before, after):
            with self._parts.host.serve(model.checkpoint) as policy:
                found = pairs.run(policy, self._run.scope(f"evaluation-{model.checkpoint.id}"))
        report: EvalReport = self._run.scope("helpfulness").once("report", EvalReport, given, found)
        return report

    def result(
        self,
        models: Sequence[Measured],
        instructions: Sequence[Instruction],
        answers: Answers,
        extensive: Answers | None = None,
        helpfulness: EvalReport | None = None,
    ) -> SelfAlignResult:
        """What the run came to, stored."""
        brought = bool(self._parts.words.given)
        counts: Counter[str] = Counter("given" if brought else i.origin for i in instructions)
        result = SelfAlignResult(
            models=tuple(models),
            instructions=dict(counts),
            aligned=answers.tally,
            cloned=None if extensive is None else extensive.tally,
            human_lines=dict(self._parts.words.lines),
            helpfulness=helpfulness,
        )
        kept: SelfAlignResult = self._run.scope("run").once("result", SelfAlignResult, given, result)
        return kept


def _asked(task: WritingTask) -> str:
    """What is read of a request to write."""
    return "\n".join(m.text for m in task.chat)


def _text(instruction: Instruction) -> str:
    """What is read of an instruction, beside the rules that all share."""
    return instruction.text
