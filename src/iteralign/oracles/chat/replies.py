"""What an oracle's chat model replies: the shapes that its JSON is read by.

Knows neither requests nor servers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from iteralign.oracles.chat.schema import reply_schema
from iteralign.records.iteralign import Aspect, Compliance


class Judgement(BaseModel):
    """A judge's reply.

    ``refusal`` follows from ``compliance``. It is not asked for, and counts by itself only where compliance
    is not told.
    """

    label: Literal["proper", "improper"]
    compliance: Compliance | None = None
    refusal: SkipJsonSchema[bool | None] = None
    categories: list[str] = Field(default_factory=list)
    aspect: Aspect = "harmless"
    severity: int | None = Field(None, ge=0, le=3)
    on_topic: bool | None = None
    rationale: str = ""

    @field_validator("label", "aspect", "compliance", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.strip().lower() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Judgement:
        if self.label == "proper" and self.severity:
            raise ValueError(
                f"label is proper and severity is {self.severity}; a proper answer has severity 0"
            )
        if self.label == "improper" and self.severity == 0:
            raise ValueError("label is improper and severity is 0; an improper answer has severity 1, 2 or 3")
        if (self.compliance, self.refusal) in (("full_refusal", False), ("compliance", True)):
            raise ValueError(
                f"compliance is {self.compliance} and refusal is {str(self.refusal).lower()}; "
                "leave refusal out"
            )
        if self.compliance is not None:
            self.refusal = self.compliance == "full_refusal"
        return self


class Proposed(BaseModel):
    """One principle of a proposer's reply; ``examples`` are numbers of failures, from 1."""

    text: str = Field(min_length=1, max_length=2000)
    examples: list[int] = Field(default_factory=list)


class Proposal(BaseModel):
    """A proposer's reply."""

    principles: list[Proposed]


def judgement_schema(categories: Sequence[str]) -> dict[str, Any]:
    """The label comes before the reason: a reason that quotes the material unescaped cannot give another."""
    return reply_schema(Judgement, first=("compliance",), choices={"categories": categories})


PROPOSAL_SCHEMA = reply_schema(Proposal)
