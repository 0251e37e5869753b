"""What is sent to servers as the form of a reply. The ledger finds paid replies by it: it stays as it is."""

from __future__ import annotations

import json
from typing import Literal

import pytest
from pydantic import BaseModel, Field

from iteralign.oracles.chat.pair import SCHEMA as COMPARISON
from iteralign.oracles.chat.replies import PROPOSAL_SCHEMA, judgement_schema
from iteralign.oracles.chat.schema import reply_schema

STRING = {"type": "string"}
JUDGEMENT = {
    "title": "Judgement",
    "type": "object",
    "properties": {
        "mark": STRING,
        "compliance": {"type": "string", "enum": ["full_refusal", "partial_refusal", "compliance"]},
        "label": {"type": "string", "enum": ["proper", "improper"]},
        "categories": {"type": "array", "items": {"type": "string", "enum": ["theft", "other"]}},
        "aspect": {"type": "string", "enum": ["harmless", "honest", "helpful", "other"]},
        "severity": {"type": "integer", "enum": [0, 1, 2, 3]},
        "on_topic": {"type": "boolean"},
        "rationale": STRING,
    },
    "required": ["mark", "compliance", "label", "categories", "aspect", "severity", "on_topic", "rationale"],
    "additionalProperties": False,
}
PRINCIPLE = {
    "type": "object",
    "properties": {"text": STRING, "examples": {"type": "array", "items": {"type": "integer"}}},
    "required": ["text", "examples"],
    "additionalProperties": False,
}
PROPOSAL = {
    "title": "Proposal",
    "type": "object",
    "properties": {"mark": STRING, "principles": {"type": "array", "items": PRINCIPLE}},
    "required": ["mark", "principles"],
    "additionalProperties": False,
}
PAIR = {
    "title": "Comparison",
    "type": "object",
    "properties": {
        "mark": STRING,
        "better": {"type": "string", "enum": ["first", "second", "tie"]},
        "rationale": STRING,
    },
    "required": ["mark", "better", "rationale"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("made", "sent"),
    [(judgement_schema(["theft", "other"]), JUDGEMENT), (PROPOSAL_SCHEMA, PROPOSAL), (COMPARISON, PAIR)],
    ids=["judgement", "proposal", "comparison"],
)
def test_the_bytes_on_the_wire_stay(made: dict[str, object], sent: dict[str, object]) -> None:
    assert json.dumps(made) == json.dumps(sent)  # the order of keys is the order in which a model writes them


def test_a_schema_says_only_what_strict_servers_take() -> None:
    class Part(BaseModel):
        word: str = Field(min_length=1, max_length=9, description="one word")

    class Whole(BaseModel):
        """Words that a model never sees."""

        count: int | None = Field(None, ge=1, le=3)
        kind: Literal["a", "b"] = "a"
        parts: list[Part] = Field(default_factory=list)
        best: Part

    assert reply_schema(Whole, first=("best",))["properties"] == {
        "mark": {"type": "string"},
        "best": (
            part := {
                "type": "object",
                "properties": {"word": {"type": "string"}},
                "required": ["word"],
                "additionalProperties": False,
            }
        ),
        "count": {"type": "integer", "enum": [1, 2, 3]},
        "kind": {"type": "string", "enum": ["a", "b"]},
        "parts": {"type": "array", "items": part},
    }
