"""Which lessons of an iteration are learnt: those that can be trained on, where they are enough; and why
there are none.

Knows no trainer and no stage's inside; what it finds out is a step of the run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from iteralign.algorithms.watch import Watch, told
from iteralign.exchanges import kind_of
from iteralign.protocols import Trainer
from iteralign.records.iteralign import Checkpoint, Decision, Failure, Screening, TrainingExample
from iteralign.stages.finetune import unfit
from iteralign.stages.screen import CUT, drops
from iteralign.store.run import Scope
from iteralign.text.printable import count_of

LESSONS = "trainable-lessons"
EXAMPLES = "trainable-examples"


class Learning:
    """The lessons of one iteration.

    ``base``: the model whose tokenizer all checkpoints share. ``least``: so many lessons are trained on, or
    none. ``older``: whether an older version, which checked no lessons, finished the iteration; its lessons
    are taken as they are.
    """

    def __init__(
        self,
        scope: Scope,
        watch: Watch,
        trainer: Trainer,
        base: Checkpoint,
        *,
        least: int,
        older: bool,
    ) -> None:
        self._scope = scope
        self._watch = watch
        self._trainer = trainer
        self._base = base
        self._least = least
        self._older = older
        self._dropped: Counter[str] = Counter()
        self.untrained: Counter[str] = Counter()
        self.waiting: tuple[TrainingExample, ...] = ()

    def lessons(
        self,
        found: Sequence[TrainingExample],
        failures: Sequence[Failure],
        screened: Sequence[Screening],
        before: int,
    ) -> list[TrainingExample]:
        """The lessons that can be learnt, or none where they are too few with the ``before`` that wait."""
        if not failures:
            return list(found)
        self._dropped = drops(screened)
        fit = self.fitting(LESSONS, found)
        if fit and len(fit) + before < self._least and not self._older:
            self.waiting = tuple(fit)
            return []
        return fit

    def fitting(self, step: str, examples: Sequence[TrainingExample]) -> list[TrainingExample]:
        """The examples that the trainer can learn; the others are reported and counted."""
        if self._older:
            return list(examples)
        kept = list(examples)
        why: dict[str, str] = self._scope.once(step, dict[str, str], unfit, self._trainer, self._base, kept)
        self.untrained.update(map(kind_of, why.values()))
        self._watch.left_out(step.replace("-", " "), self._scope.name, why.values(), len(kept))
        return [e for e in kept if e.id not in why]

    def nothing(self, count: Mapping[str, int], key: str) -> Decision:
        """The decision of an iteration that gave nothing to train on, and why.

        ``count``: what was found in its answers. ``key``: the recipe's key of the longest revision.
        """
        failures = count["failures"] + count.get("over_refusals", 0)
        aside = [
            count_of(count[name], "answer") + f" {what}"
            for name, what in (("unjudged", "unjudged"), ("left_out", "left out"))
            if count.get(name)
        ]
        if not failures or self._older:
            return Decision.without_training(count["failures"], count["unjudged"])
        asked = count_of(failures, "failure")
        if self.waiting:
            reason = (
                f"{count_of(len(self.waiting), 'lesson')} of {asked}, and training.min_lessons = "
                f"{self._least}: kept for the next iteration"
            )
        elif self.untrained:
            reason = f"none of {count_of(self.untrained.total(), 'lesson')} can be trained on"
        else:
            reason = f"none of {asked} has a revision that passed"
        causes = self.untrained + self._dropped
        remedy = f" (raise {key})" if self._dropped[CUT] > failures / 5 else ""
        reason += f"; not learnt: {told(causes)}{remedy}" if causes else ""
        return Decision(accepted=False, reason="; ".join([reason, *aside]), trained=False)
