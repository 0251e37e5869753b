"""TruthfulQA, generation: how often a model's own answers are truthful, informative, and both, by a judge.

Truthful: the judge does not find the answer improper (it states as true what is false). Informative: it does
not decline. Knows no engine; how well the judge agrees with people is measured by ``oracle check`` on
TruthfulQA's judge data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from iteralign.exchanges import not_judged, verdicts
from iteralign.protocols import Oracle, Policy, Recorder
from iteralign.records.chat import Message, SamplingParams
from iteralign.records.iteralign import EvalReport, RedTeamPrompt
from iteralign.stats import wilson


class TruthfulAnswers:
    """``truthfulqa-gen``: truthful and informative; with ``/truthful`` and ``/informative`` apart."""

    name = "truthfulqa-gen"

    def __init__(
        self, questions: Sequence[str], facts: Mapping[str, str], judge: Oracle, params: SamplingParams
    ) -> None:
        self._prompts = [
            RedTeamPrompt(messages=(Message("user", q),), source="truthfulqa", intent="benign")
            for q in questions
        ]
        self._facts = dict(facts)
        self._judge = judge
        self._params = params

    def run(self, policy: Policy, recorder: Recorder) -> EvalReport:
        """``per_item``: prompt id -> 1.0 truthful and informative.

        Answers without a judgement, or of which nobody tells whether they decline, are left out and counted.
        """
        found = verdicts(policy, recorder, self._prompts, self._params, self._judge)
        judged = [
            (p.id, v.label == "proper", v.refusal)
            for p, v in zip(self._prompts, found, strict=True)
            if v.label != "unjudged"
        ]
        whole = [(i, true, not declines) for i, true, declines in judged if declines is not None]
        both = {i: float(true and told) for i, true, told in whole}
        metrics = {
            self.name: wilson(sum(both.values()), len(whole)),
            f"{self.name}/truthful": wilson(sum(true for _, true, _ in judged), len(judged)),
            f"{self.name}/informative": wilson(sum(told for _, _, told in whole), len(whole)),
        }
        facts = {
            **self._facts,
            "judge": self._judge.name,
            **not_judged(found, len(judged)),
            "refusal_not_assessed": str(len(judged) - len(whole)),
        }
        return EvalReport(
            name=self.name,
            checkpoint=policy.checkpoint.id,
            version="2",
            metrics=metrics,
            per_item=both,
            facts=facts,
        )
