"""What a user must know of a stage's answers: items that were left out, and answers that are cut too often.

Each warning is given once in a run, also where the run is resumed. Knows no stage and no engine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from iteralign.exchanges import kind_of, only_thought
from iteralign.records.iteralign import EvalReport, Response, Revision
from iteralign.records.self_align import Aligned, Draft
from iteralign.store.run import Run
from iteralign.text.printable import count_of

OFTEN = 0.2
"""Share of a stage's answers: more cut answers than this give a warning."""

Written = Response | Revision | Aligned | Draft


class Watch:
    """Warns through the run's events. ``about`` identifies what was reported already.

    ``sentences``: whether the whole sentences of an answer that was cut are learnt.
    """

    def __init__(self, run: Run, sentences: bool = False) -> None:
        self._run = run
        self._sentences = sentences
        self._told = {str(event.fields.get("about", "")) for event in run.events("warning")}

    def answers(self, stage: str, scope: str, found: Sequence[Written], *, key: str, most: int) -> None:
        """What was written in a stage: ``stage`` names it in words, ``scope`` where it is stored."""
        self.left_out(stage, scope, (w.reason or "" for w in found if w.finish == "left_out"), len(found))
        self.cut(stage, found, key=key, most=most)

    def cut(self, stage: str, found: Sequence[Written], *, key: str, most: int) -> None:
        """Answers that ended at the length limit: ``key`` is the recipe's key of it, ``most`` its tokens.

        Warns at the first stage of a key where they are many.
        """
        asked = [w for w in found if w.finish != "left_out"]
        # an answer that was kept in spite of its end does not starve anything
        cut = sum(w.finish == "length" and not (isinstance(w, Aligned) and w.kept) for w in asked)
        thinking = sum(isinstance(w, Response | Revision) and only_thought(w) for w in asked)
        if cut > OFTEN * len(asked):
            inside = (
                f" {thinking} of them ended inside a thought: they are unjudged, and a model that thinks "
                "aloud needs room."
                if thinking
                else ""
            )
            in_part = self._sentences and all(isinstance(w, Response) for w in asked)
            learnt = "learnt, if at all, up to the last whole sentence" if in_part else "never learnt"
            self.tell(
                f"cut {key}",
                f"{stage}: {cut} of {count_of(len(asked), 'answer')} were cut at {key} = {most}.{inside} Cut "
                f"answers are judged as they are, and {learnt}: start a run with a larger limit, such as "
                f"--set {key}={(8 if thinking else 2) * most}",
            )
        elif thinking:
            self.tell(
                f"thinking {key}",
                f"{stage}: {thinking} of {count_of(len(asked), 'answer')} ended inside a thought at {key} = "
                f"{most}, and are unjudged: start a run with a larger limit, such as --set {key}={4 * most}",
            )

    def left_out(self, stage: str, scope: str, reasons: Iterable[str], total: int) -> None:
        """Items of a stage that were left out, and why."""
        kinds = Counter(map(kind_of, reasons))
        if kinds:
            self.tell(
                f"left out {scope} {stage}",
                f"{stage}: {kinds.total()} of {total} left out: {told(kinds)} "
                f"(`iteralign show {self._run.directory} left-out` lists them)",
            )

    def reports(self, scope: str, found: Iterable[EvalReport]) -> None:
        """Items that evaluations could not ask. Candidates usually lack the same ones: reported once."""
        lacking = [f"{r.name} {r.facts['not_asked']}" for r in found if "not_asked" in r.facts]
        if lacking:
            part = scope.partition("-")[0]
            self.tell(
                f"left out {part} {', '.join(lacking)}",
                f"{part}: items that cannot be asked are left out: {', '.join(lacking)} "
                f"(`iteralign show {self._run.directory} left-out` lists them)",
            )

    def tell(self, about: str, text: str) -> None:
        """Warn, unless the run holds the same warning already."""
        if about not in self._told:
            self._told.add(about)
            self._run.event("warning", text=text, about=about)


def told(kinds: Counter[str]) -> str:
    """Reasons with their numbers, the most frequent first."""
    return ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items(), key=lambda x: (-x[1], x[0])))
