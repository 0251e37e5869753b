"""Answers in users' rows: thoughts are parted from them, as a run does with what its model writes.

A part of the composition root. Knows no stage; says how many answers had a thought.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from iteralign.chat.thoughts import part
from iteralign.data.labels import Labelled
from iteralign.log import log
from iteralign.records.iteralign import Exchange
from iteralign.text.printable import count_of


def exchanges_apart(exchanges: Sequence[Exchange], path: Path) -> list[Exchange]:
    """Return the exchanges with thoughts apart from the answers; ``path``: the file that they come from."""
    found = [_parted(e) for e in exchanges]
    tell_parted(path, sum(new is not old for new, old in zip(found, exchanges, strict=True)))
    return found


def labelled_apart(labelled: Sequence[Labelled], path: Path) -> list[Labelled]:
    """Return labelled answers with thoughts apart from them: the label is of the answer."""
    alone = exchanges_apart([e for e, _ in labelled], path)
    return [(e, bad) for e, (_, bad) in zip(alone, labelled, strict=True)]


def tell_parted(path: Path, parted: int) -> None:
    """Say how many answers of a file had a thought; nothing where none had."""
    if parted:
        log(
            f"{path}: thoughts of {count_of(parted, 'answer')} kept apart, answers alone are judged and "
            "trained on (model.thoughts = keep takes them for part of the answer)"
        )


def _parted(exchange: Exchange) -> Exchange:
    said = part(exchange.response.text)
    if said.thought is None or exchange.response.thought is not None:
        return exchange
    finish = exchange.response.finish if said.ended else "length"
    own = replace(exchange.response, id="", text=said.answer, thought=said.thought, finish=finish)
    return replace(exchange, id="", response=own)
