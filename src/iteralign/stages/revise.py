"""Stage 4, constitution-induced self-reflection: the model assesses its own answer under the principles and
answers again (IterAlign, section 3.4). It sees the question, its first answer and the principles that bear on
it.

Knows nothing of oracles: whether a revision may be trained on is decided by ``screen``.
"""

from __future__ import annotations

from collections.abc import Sequence

from iteralign.errors import PromptTooLong
from iteralign.exchanges import each, in_full
from iteralign.prompts.render import Templates
from iteralign.protocols import Policy
from iteralign.records.chat import Chat, Completion, Message, SamplingParams
from iteralign.records.iteralign import OVER_REFUSAL, Constitution, Failure, Principle, Revision
from iteralign.text.similarity import similarity

TEMPLATES = Templates("constitution", "reflect", "revise")


def revise(
    failures: Sequence[Failure],
    policy: Policy,
    constitution: Constitution,
    params: SamplingParams,
    principles: str = "relevant",
    shown: int = 4,
    attempt: int = 1,
    templates: Templates = TEMPLATES,
) -> list[Revision]:
    """One revision per failure, in order.

    First the reflection, then the answer again with the reflection in view. Where the chat with both cannot
    be asked (it does not fit the model's context, say), the revision is empty and left out, with its reason.

    ``principles``: ``relevant`` (of the failure's categories, then the most similar in words), and for
    ablations ``none`` and ``irrelevant`` (of other categories than the verdict's and the prompt's, the
    least similar); at most ``shown`` of them. ``all``: all that are active and fit; while the chat does not
    fit, the oldest is left out.
    """
    chosen = [select(f, constitution, principles, shown) for f in failures]
    found = _twice(failures, chosen, policy, constitution, params, attempt, templates)
    while principles == "all":
        long = [i for i, (_, fits) in enumerate(found) if not fits and len(chosen[i]) > 1]
        if not long:
            break
        for i in long:
            chosen[i] = chosen[i][1:]
        again = _twice(
            [failures[i] for i in long],
            [chosen[i] for i in long],
            policy,
            constitution,
            params,
            attempt,
            templates,
        )
        for i, shorter in zip(long, again, strict=True):
            found[i] = shorter
    return [revision for revision, _ in found]


def _twice(
    failures: Sequence[Failure],
    chosen: Sequence[Sequence[Principle]],
    policy: Policy,
    constitution: Constitution,
    params: SamplingParams,
    attempt: int,
    templates: Templates,
) -> list[tuple[Revision, bool]]:
    """Each failure's revision under its principles, and whether the chat fitted the model's context."""
    systems = [system_turn(c, templates) for c in chosen]
    facts = [{"question": f.prompt.dialogue, "answer": f.response.text} for f in failures]
    asked = [
        (*s, Message("user", templates.render("reflect", **x))) for s, x in zip(systems, facts, strict=True)
    ]
    reflections = each(policy, asked, params)
    fitting = {i: r for i, r in enumerate(reflections) if isinstance(r, Completion)}
    again: list[Chat] = [
        (*systems[i], Message("user", templates.render("revise", reflection=r.text, **facts[i])))
        for i, r in fitting.items()
    ]
    second = dict(zip(fitting, each(policy, again, params), strict=True))
    answers = [second.get(i, r) for i, r in enumerate(reflections)]
    revisions = [
        Revision(
            prompt_id=f.prompt.id,
            response_id=f.response.id,
            constitution_id=constitution.id,
            principle_ids=tuple(p.id for p in c),
            reflection=r.text if isinstance(r, Completion) else str(r),
            text=a.text if isinstance(a, Completion) else "",
            finish=a.finish if isinstance(a, Completion) else "left_out",
            attempt=attempt,
            reason=None if isinstance(a, Completion) else in_full(a),
        )
        for f, c, r, a in zip(failures, chosen, reflections, answers, strict=True)
    ]
    return [(r, not isinstance(a, PromptTooLong)) for r, a in zip(revisions, answers, strict=True)]


def system_turn(principles: Sequence[Principle], templates: Templates = TEMPLATES) -> Chat:
    """The system turn that states the principles; no turn at all where there are none."""
    return (
        (Message("system", templates.render("constitution", principles=[p.text for p in principles])),)
        if principles
        else ()
    )


def select(failure: Failure, constitution: Constitution, which: str, shown: int) -> list[Principle]:
    """The principles that a failure's reflection is shown, the most relevant first; ``all``: oldest first.

    ``relevant`` ones are on the failure's own side: those that came from refused safe prompts are shown for
    such prompts alone, where there are any.
    """
    active = [p for p in constitution.principles if p.status == "active"]
    if which == "none" or not active:
        return []
    scores = similarity([failure.prompt.text], [p.text for p in active])[0]
    order = sorted(range(len(active)), key=lambda i: (-float(scores[i]), active[i].id))
    ranked = [active[i] for i in order]
    categories = (OVER_REFUSAL,) if failure.over_refusal else failure.verdict.categories
    bearing = [p for p in ranked if p.category in categories]
    others = [p for p in ranked if p not in bearing]
    match which:
        case "relevant" if failure.over_refusal:
            return (bearing or ranked)[:shown]
        case "relevant":
            own_side = [p for p in others if p.category != OVER_REFUSAL]
            return [*bearing, *own_side][:shown]
        case "all":
            return sorted(active, key=lambda p: p.born)
        case "irrelevant":
            away = [
                p for p in others if p.category != failure.prompt.category
            ]  # nor by the label of the prompt, where it has one
            return away[::-1][
                :shown
            ]  # the least similar first: a wrong category must not smuggle the right principle in
    raise ValueError(f"principles = {which!r}: one of relevant, all, none, irrelevant")
