"""What a model's answers depend on beside its checkpoint: chat template, commit on the hub, precision.

A step's key is to change when one of them does. Loads no weights and does not import torch. Knows nothing of
runs: what a run began with comes in through a function.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from iteralign.canonical import content_hash
from iteralign.engines.weights import commit_of
from iteralign.errors import EngineError
from iteralign.records.iteralign import Checkpoint

Began = Callable[[str, str], str]
"""(name of a fact, its value now) -> the value that the run began with; empty where there is no run."""


def no_run(name: str, value: str) -> str:
    """Return the empty text: nothing began."""
    return ""


class Facts:
    """What the policies of one host depend on beside their checkpoints.

    ``template``: the file of a chat template. ``dtype``: as it was asked for; ``auto`` is not resolved here,
    because a run keeps the precision that it began with. ``warn`` hears of each change once.
    """

    def __init__(self, template: str | None, dtype: str, began: Began, warn: Callable[[str], None]) -> None:
        self._template = template
        self._dtype = dtype
        self._began = began
        self._warn = warn
        self._commits: dict[str, str] = {}  # by place, as the keys have them
        self._heard: set[str] = set()

    def fingerprint(self, checkpoint: Checkpoint, place: str = "") -> str:
        """The checkpoint's id, and every fact that is not as it was when the run began.

        ``place``: where the weights of a base model come from, folder or hub name.
        """
        facts = {"chat template": template_hash(self._template), "dtype": self._dtype.replace("auto", "")}
        if place:
            self._commits[place] = commit_of(place)
            facts[f"commit of {place}"] = self._commits[place]
        changed = [
            f"{name}={now}"
            for name, now in facts.items()
            if now and not self._as_it_began(name, now, "answers are made anew")
        ]
        return " ".join([checkpoint.id, *changed])

    def loaded(self, place: str) -> None:
        """Note the commit that was loaded, where it is a hub's.

        Raises ``EngineError`` where the keys of this process have another one: the cache was empty before.
        """
        now = commit_of(place)
        if not now:
            return
        was = self._began(f"commit of {place}", now)
        if was not in ("", now) and self._commits.get(place, now) != now:
            raise EngineError(
                f"the run began with commit {was} of {place!r}, and the hub gives {now}: "
                "resume the run to make its answers anew with it, or put the old commit into the hub's cache"
            )

    def precision(self, here: str) -> str:
        """The precision to load with; ``here``: what ``auto`` would take on this device."""
        return (self._began("dtype", here) or here) if self._dtype == "auto" else self._dtype

    def pace(self, measure: Callable[[], float]) -> float:
        """What was measured when the run began; it is measured where the run has none yet."""
        return float(self._began("pace", "") or self._began("pace", now := str(measure())) or now)

    def streams(self, usual: str) -> str:
        """How random streams are made: as when the run began; asked before the device is noted.

        Generators are not noted: runs of earlier releases, which know no other, made them.
        """
        noted = self._began("streams", "")
        if noted or self._began("device", ""):
            return noted or "generators"
        return usual if usual == "generators" else self._began("streams", usual) or usual

    def on(self, device: str, precision: str, here: str) -> None:
        """Note the device, and warn where the run began on another kind."""
        was = self._began("device", device)
        if was not in ("", device) and "device" not in self._heard:
            self._heard.add("device")
            usual = f" (model.dtype = auto would take {here} here)" if here != precision else ""
            self._warn(
                f"the run began on {was} and continues on {device}, in {precision} as before{usual}: "
                "stored results are kept, and new ones can differ in rounding"
            )

    def _as_it_began(self, name: str, now: str, then: str) -> bool:
        was = self._began(name, now)
        if was and was != now and name not in self._heard:
            self._heard.add(name)
            self._warn(f"{name} was {was} when the run began and is {now} now: {then}")
        return was == now


def template_hash(template: str | None) -> str:
    """A short hash of the template's text; empty where none is named or it cannot be read.

    An unreadable one is an error where it is used.
    """
    if template is None:
        return ""
    try:
        return content_hash(Path(template).read_text(encoding="utf-8"))[:12]
    except (OSError, UnicodeDecodeError):
        return ""
