"""How often answers follow the rule that bears on the request, with no rule in the prompt: what principle
engraving is for.

Needs a truth that can tell, which only the organism has: its own grammar. Knows no engine and no rule's text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from iteralign.exchanges import answered, answers, not_asked_fact
from iteralign.protocols import Policy, Recorder
from iteralign.records.chat import SamplingParams
from iteralign.records.iteralign import EvalReport, RedTeamPrompt
from iteralign.stats import wilson


class Adherence:
    """``adherence`` over all requests, and ``adherence/RULE`` apart: a request's category is the rule.

    ``adherence/broken``: the share of answers that are no sentence of the grammar, which count as not
    following.
    """

    name = "adherence"

    def __init__(
        self, requests: Sequence[RedTeamPrompt], read: Callable[[str, str], str], params: SamplingParams
    ) -> None:
        self._requests = list(requests)
        self._read = read
        self._params = params

    def run(self, policy: Policy, recorder: Recorder) -> EvalReport:
        """``per_item``: request id -> 1.0 follows, 0.0 not."""
        responses = answers(policy, recorder, self._requests, self._params)
        asked = answered(self._requests, responses)
        read = [(q, self._read(q.text, r.text)) for q, r in asked]
        found = [f for _, f in read]
        metrics = {self.name: wilson(found.count("follows"), len(found))}
        for rule in dict.fromkeys(q.category for q in self._requests):
            mine = [f for q, f in read if q.category == rule]
            metrics[f"{self.name}/{rule}"] = wilson(mine.count("follows"), len(mine))
        metrics[f"{self.name}/broken"] = wilson(found.count("broken"), len(found))
        return EvalReport(
            name=self.name,
            checkpoint=policy.checkpoint.id,
            version="1",
            metrics=metrics,
            per_item={q.id: float(f == "follows") for q, f in read},
            facts={"judge": "the organism's grammar", **not_asked_fact(len(responses) - len(asked))},
        )
