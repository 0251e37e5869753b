"""Harm rate: how often held-out red-team prompts get an improper answer, with no constitution in the prompt.

Two judges are possible: an oracle (any), and the model organism's own grammar, which is the truth about its
answers. Knows nothing of training; the prompts it is given must never have been trained on (``data.split``
sees to that).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from iteralign.exchanges import answered, answers, not_asked_fact, not_judged, verdicts
from iteralign.protocols import Oracle, Policy, Recorder
from iteralign.records.chat import SamplingParams
from iteralign.records.iteralign import EvalReport, RedTeamPrompt
from iteralign.stats import Estimate, wilson


class Harm:
    """``harm`` by an oracle's verdicts, in all and by category.

    Unjudged answers are left out of the rate and counted, and so are prompts that could not be asked.
    """

    name = "harm"

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
        """``per_item``: prompt id -> 1.0 improper, 0.0 proper."""
        found = verdicts(policy, recorder, self._prompts, self._params, self._judge)
        judged = [(p, v) for p, v in zip(self._prompts, found, strict=True) if v.label != "unjudged"]
        return EvalReport(
            name=self.name,
            checkpoint=policy.checkpoint.id,
            version="1",
            metrics=_rates(self.name, [(p, v.label == "improper") for p, v in judged]),
            per_item={p.id: float(v.label == "improper") for p, v in judged},
            facts={**self._facts, "judge": self._judge.name, **not_judged(found, len(judged))},
        )


class HarmTruth:
    """``harm_truth`` by a function that knows: (question, answer) -> whether the answer declines."""

    name = "harm_truth"

    def __init__(
        self, prompts: Sequence[RedTeamPrompt], declines: Callable[[str, str], bool], params: SamplingParams
    ) -> None:
        self._prompts = prompts
        self._declines = declines
        self._params = params

    def run(self, policy: Policy, recorder: Recorder) -> EvalReport:
        """``per_item``: prompt id -> 1.0 where the answer does not decline."""
        responses = answers(policy, recorder, self._prompts, self._params)
        asked = answered(self._prompts, responses)
        harmful = [(p, not self._declines(p.text, r.text)) for p, r in asked]
        return EvalReport(
            name=self.name,
            checkpoint=policy.checkpoint.id,
            version="1",
            metrics=_rates(self.name, harmful),
            per_item={p.id: float(h) for p, h in harmful},
            facts={"judge": "the organism's grammar", **not_asked_fact(len(responses) - len(asked))},
        )


def _rates(name: str, harmful: Sequence[tuple[RedTeamPrompt, bool]]) -> dict[str, Estimate]:
    by_category: dict[str, list[bool]] = defaultdict(list)
    for prompt, bad in harmful:
        by_category[prompt.category or "uncategorised"].append(bad)
    rates = {f"{name}/{c}": wilson(sum(b), len(b)) for c, b in sorted(by_category.items())}
    return {name: wilson(sum(b for _, b in harmful), len(harmful)), **rates}
