"""The families that are known, and which one a model belongs to. Reads no file and knows no engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from iteralign.errors import EngineError
from iteralign.oracles.guard.family import Family
from iteralign.oracles.guard.granite_guardian import GRANITE_GUARDIAN
from iteralign.oracles.guard.llama_guard import FOURTH, THIRD
from iteralign.oracles.guard.qwen3guard import QWEN3GUARD
from iteralign.oracles.guard.shieldgemma import SHIELDGEMMA
from iteralign.oracles.guard.wildguard import WILDGUARD

FAMILIES: Final = {f.name: f for f in (THIRD, FOURTH, WILDGUARD, SHIELDGEMMA, GRANITE_GUARDIAN, QWEN3GUARD)}


def family_of(
    model: str,
    said: str | None = None,
    names: Sequence[str] = (),
    template: str | None = None,
    architectures: Sequence[str] = (),
) -> Family:
    """The family of a guard: the one that is said, that its names or its chat template show.

    ``names``: what else the model calls itself. An architecture is no proof, for every family shares it with
    ordinary models. Raises ``EngineError`` with the families that share it.
    """
    if said is not None:
        return FAMILIES[said]
    for family in FAMILIES.values():
        if any(family.named.search(name) for name in (model, *names)) or family.wrote(template):
            return family
    alike = [f for f in FAMILIES.values() if set(f.architectures) & set(architectures)]
    known = ", ".join(FAMILIES)
    hint = (
        f" Its architecture is {architectures[0]}, as that of {' and '.join(f.title for f in alike)}: if it "
        f"is one, set oracle.family = {alike[0].name}."
        if alike
        else f" If it is one, set oracle.family ({known})."
    )
    raise EngineError(
        f"oracle.model = {model!r}: its name and chat template show no known family of guard models.{hint} "
        "Any other model judges with oracle.kind = local, or served, with oracle.kind = chat"
    )
