"""Stage 4, constitution-induced self-reflection: the model assesses its own answer under the principles and
answers again (IterAlign, section 3.4). It sees the question, its first answer and the principles that bear on
it.

Knows nothing of oracles: whether a revision may be trained on is decided by ``screen``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from iteralign.errors import PromptTooLong
from iteralign.exchanges import each, in_full
from iteralign.prompts.forms import Asking
from iteralign.prompts.render import Templates
from iteralign.protocols import Policy
from iteralign.records.chat import Completion, SamplingParams
from iteralign.records.iteralign import OVER_REFUSAL, Constitution, Failure, Principle, Revision
from iteralign.text.index import likeness
from iteralign.text.words import first_sentences

TEMPLATES = Templates("constitution", "reflect", "revise")
PLAIN: Final = Asking("reflect-revise")


def revise(
    failures: Sequence[Failure],
    policy: Policy,
    constitution: Constitution,
    params: SamplingParams,
    principles: str = "relevant",
    shown: int = 4,
    attempt: int = 1,
    templates: Templates = TEMPLATES,
    asking: Asking | None = None,
    skip: int | None = None,
    sentences: int | None = None,
) -> list[Revision]:
    """One revision per failure, in order, asked for as ``asking`` has it.

    Where a chat cannot be asked (it does not fit the model's context, say), or a reply holds no answer, the
    revision is empty and left out, with its reason.

    ``principles``: ``relevant`` (of the failure's categories, then the most similar in words), and for
    ablations ``none`` and ``irrelevant`` (of other categories than the verdict's and the prompt's, the
    least similar); at most ``shown`` of them, after the first ``skip``. ``all``: all that are active and fit;
    while the chat does not fit, the oldest is left out. ``templates``: those that the step is known by.
    ``sentences``: the answer ends after so many, also where the reply was cut off later.
    """
    # None, so that what was asked before there were other forms keeps its step: see ``store.keys``
    asking = asking or PLAIN
    among = Selection(constitution, principles, shown, skip or 0)
    chosen = [among.of(f) for f in failures]
    found = _asked(failures, chosen, policy, constitution, params, attempt, asking)
    while principles == "all":
        long = [i for i, (_, fits) in enumerate(found) if not fits and len(chosen[i]) > 1]
        if not long:
            break
        for i in long:
            chosen[i] = chosen[i][1:]
        again = _asked(
            [failures[i] for i in long],
            [chosen[i] for i in long],
            policy,
            constitution,
            params,
            attempt,
            asking,
        )
        for i, shorter in zip(long, again, strict=True):
            found[i] = shorter
    return [_ended(revision, sentences) for revision, _ in found]


def _ended(revision: Revision, sentences: int | None) -> Revision:
    text = first_sentences(revision.text, sentences) if sentences else None
    if text is None or (text == revision.text and revision.finish == "stop"):
        return revision
    return replace(revision, id="", text=text, finish="stop")


def _asked(
    failures: Sequence[Failure],
    chosen: Sequence[Sequence[Principle]],
    policy: Policy,
    constitution: Constitution,
    params: SamplingParams,
    attempt: int,
    asking: Asking,
) -> list[tuple[Revision, bool]]:
    """Each failure's revision under its principles, and whether the chat fitted the model's context."""
    pairs = list(zip(failures, chosen, strict=True))
    firsts = each(policy, [asking.first(f, c) for f, c in pairs], params)
    if asking.twice:
        fitting = {i: r for i, r in enumerate(firsts) if isinstance(r, Completion)}
        again = [asking.second(*pairs[i], r.text) for i, r in fitting.items()]
        seconds = dict(zip(fitting, each(policy, again, params), strict=True))
        answers = [seconds.get(i, r) for i, r in enumerate(firsts)]
        reflections = [r.text if isinstance(r, Completion) else str(r) for r in firsts]
    else:
        read = [asking.read(r.text) if isinstance(r, Completion) else (str(r), "") for r in firsts]
        reflections = [reflection for reflection, _ in read]
        answers = [
            replace(r, text=answer) if isinstance(r, Completion) else r
            for r, (_, answer) in zip(firsts, read, strict=True)
        ]
    revisions = [
        Revision(
            prompt_id=f.prompt.id,
            response_id=f.response.id,
            constitution_id=constitution.id,
            principle_ids=tuple(p.id for p in c),
            reflection=reflection,
            text=a.text if isinstance(a, Completion) else "",
            finish=a.finish if isinstance(a, Completion) else "left_out",
            attempt=attempt,
            reason=None if isinstance(a, Completion) else in_full(a),
            thought=a.thought if isinstance(a, Completion) else None,
            reflection_thought=r.thought if asking.twice and isinstance(r, Completion) else None,
        )
        for (f, c), reflection, r, a in zip(pairs, reflections, firsts, answers, strict=True)
    ]
    return [(r, not isinstance(a, PromptTooLong)) for r, a in zip(revisions, answers, strict=True)]


def select(failure: Failure, constitution: Constitution, which: str, shown: int) -> list[Principle]:
    """The principles that a failure's reflection is shown, as ``Selection`` finds them."""
    return Selection(constitution, which, shown).of(failure)


class Selection:
    """The choice among the active principles of one constitution; at most ``shown`` of them.

    The first ``skip`` are passed over, where there are more.

    ``which``: ``relevant``, of the failure's categories, then the most similar in words; ``none``;
    ``irrelevant``, of other categories than the verdict's and the prompt's, the least similar first; ``all``,
    the oldest first, however many. Raises ``ValueError`` for another word.
    """

    def __init__(self, constitution: Constitution, which: str, shown: int, skip: int = 0) -> None:
        if which not in ("relevant", "all", "none", "irrelevant"):
            raise ValueError(f"principles = {which!r}: one of relevant, all, none, irrelevant")
        self._active = [p for p in constitution.principles if p.status == "active"]
        self._texts = [p.text for p in self._active]
        self._which = which
        self._shown = shown + skip
        self._skip = skip
        self._by_category: dict[str | None, list[int]] = defaultdict(list)
        for i, principle in enumerate(self._active):
            self._by_category[principle.category].append(i)

    def of(self, failure: Failure) -> list[Principle]:
        """The principles that the failure's reflection is shown, the most relevant first.

        ``relevant`` ones are on the failure's own side: those that came from refused safe prompts are shown
        for such prompts alone, where there are any.
        """
        if self._which == "none" or not self._active:
            return []
        if self._which == "all":
            return sorted(self._active, key=lambda p: p.born)
        own = {OVER_REFUSAL} if failure.over_refusal else set(failure.verdict.categories)
        if self._which == "irrelevant":
            # the least similar first: a wrong category must not smuggle the right principle in
            away = self._without(own | {failure.prompt.category})
            chosen = self._best(failure, away, len(away))[::-1][: self._shown]
        else:
            chosen = self._best(failure, [i for c in own for i in self._by_category.get(c, ())], self._shown)
            if failure.over_refusal:
                chosen = chosen or self._best(failure, range(len(self._active)), self._shown)
            elif len(chosen) < self._shown:
                others = self._without(own | {OVER_REFUSAL})
                chosen += self._best(failure, others, self._shown - len(chosen))
        return [self._active[i] for i in chosen[self._skip :] or chosen[: self._shown - self._skip]]

    def _without(self, categories: Collection[str | None]) -> list[int]:
        """The active principles of no such category."""
        return [i for c, members in self._by_category.items() if c not in categories for i in members]

    def _best(self, failure: Failure, among: Sequence[int], most: int) -> list[int]:
        """The ``most`` of these that are most like the failure's question, then by id."""
        import numpy as np

        if not among:
            return []
        compared = np.zeros(len(self._active), dtype=bool)
        compared[np.asarray(among)] = True
        scores = likeness(failure.prompt.text, self._texts, compared)
        if len(among) > most:
            own = scores[np.asarray(among)]
            least = np.partition(own, len(own) - most)[len(own) - most]
            among = [among[int(i)] for i in np.flatnonzero(own >= least)]
        return sorted(among, key=lambda i: (-float(scores[i]), self._active[i].id))[:most]
