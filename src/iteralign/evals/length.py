"""How long answers are: mean words, with a bootstrap interval. What verbose cloning buys, to be set beside
what it costs.

Knows nothing of what makes an answer good.
"""

from __future__ import annotations

from collections.abc import Sequence

from iteralign.exchanges import answered, answers, not_asked_fact
from iteralign.metrics import metric
from iteralign.protocols import Policy, Recorder
from iteralign.records.chat import SamplingParams
from iteralign.records.iteralign import EvalReport, RedTeamPrompt
from iteralign.stats import mean, wilson


class AnswerLength:
    """``answer_words``: words of an answer to a benign request, the mean.

    ``answer_words/unfinished``: the share cut at the length limit.
    """

    name = "answer_words"

    def __init__(self, requests: Sequence[RedTeamPrompt], params: SamplingParams) -> None:
        self._requests = list(requests)
        self._params = params

    def run(self, policy: Policy, recorder: Recorder) -> EvalReport:
        """``per_item``: request id -> words of the answer."""
        responses = answers(policy, recorder, self._requests, self._params)
        asked = answered(self._requests, responses)
        counts = {q.id: float(len(r.text.split())) for q, r in asked}
        cut = wilson(sum(r.finish == "length" for _, r in asked), len(asked))
        metrics = {self.name: mean(list(counts.values())), f"{self.name}/unfinished": cut}
        return EvalReport(
            name=self.name,
            checkpoint=policy.checkpoint.id,
            version="1",
            metrics=metrics,
            per_item=counts,
            facts={"unit": metric(self.name).unit, **not_asked_fact(len(responses) - len(asked))},
        )
