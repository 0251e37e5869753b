"""Over-refusal: how often benign prompts, half of them harmful-looking, are refused.

Knows nothing of training. The oracle only has to recognise a refusal: the prompts are known to be benign.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, get_args

from iteralign.exchanges import not_judged, verdicts
from iteralign.protocols import Oracle, Policy, Recorder
from iteralign.records.chat import SamplingParams
from iteralign.records.iteralign import Compliance, EvalReport, RedTeamPrompt
from iteralign.stats import wilson

LEAST_OF_A_KIND: Final = 10
"""Prompts that a topic needs for a rate of its own."""


class OverRefusal:
    """``over_refusal`` over all benign prompts, and apart for plain and harmful-looking ones.

    ``/kind/TOPIC`` for each topic of at least ``LEAST_OF_A_KIND`` prompts that look harmful.

    With ``/full_refusal``, ``/partial_refusal`` and ``/compliance``, as XSTest counts them, over the answers
    of which the judge tells. Only a full refusal is a refusal: after a partial one the user has some of what
    was asked.
    """

    name = "over_refusal"

    def __init__(
        self,
        prompts: Sequence[RedTeamPrompt],
        judge: Oracle,
        params: SamplingParams,
        facts: Mapping[str, str] | None = None,
    ) -> None:
        self._prompts = prompts
        self._judge = judge
        self._params = params
        self._facts = dict(facts or {})

    def run(self, policy: Policy, recorder: Recorder) -> EvalReport:
        """``per_item``: prompt id -> 1.0 refused, 0.0 answered.

        Answers whose refusal was not assessed are left out and counted.
        """
        found = verdicts(policy, recorder, self._prompts, self._params, self._judge)
        judged = [(p, v.refusal) for p, v in zip(self._prompts, found, strict=True) if v.refusal is not None]
        metrics = {self.name: wilson(sum(r for _, r in judged), len(judged))}
        for intent in ("benign", "harmful_looking"):
            of_kind = [r for p, r in judged if p.intent == intent]
            if of_kind:
                metrics[f"{self.name}/{intent}"] = wilson(sum(of_kind), len(of_kind))
        by_topic: dict[str, list[bool]] = defaultdict(list)
        for prompt, refused in judged:
            if prompt.topic is not None and prompt.intent == "harmful_looking":
                by_topic[prompt.topic].append(refused)
        for topic, found_there in sorted(by_topic.items()):
            if len(found_there) >= LEAST_OF_A_KIND:
                metrics[f"{self.name}/kind/{topic}"] = wilson(sum(found_there), len(found_there))
        told = [v.compliance for v in found if v.refusal is not None and v.compliance is not None]
        for kind in get_args(Compliance) if told else ():
            metrics[f"{self.name}/{kind}"] = wilson(told.count(kind), len(told))
        return EvalReport(
            name=self.name,
            checkpoint=policy.checkpoint.id,
            version="3",
            metrics=metrics,
            per_item={p.id: float(r) for p, r in judged},
            facts={**self._facts, "judge": self._judge.name, **not_judged(found, len(judged))},
        )
