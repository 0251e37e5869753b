"""Records of Self-Align: requests to write, the instructions kept, and the model's thoughtful answers.

Knows nothing of models, prompts or files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from iteralign.records.base import Record
from iteralign.records.chat import Chat, Finish, Message
from iteralign.records.iteralign import Checkpoint, EvalReport

Origin = Literal["self-instruct", "topic-guided", "given"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction(Record):
    """Something that an assistant is asked.

    ``type`` and ``topic``: what it was written about, where that was given.
    """

    _prefix: ClassVar[str] = "instruction-"
    _identity: ClassVar[tuple[str, ...]] = ("text",)

    text: str
    origin: Origin = "given"
    type: str | None = None
    topic: str | None = None

    @property
    def chat(self) -> Chat:
        """The instruction as a user turn."""
        return (Message("user", self.text),)


@dataclass(frozen=True, slots=True, kw_only=True)
class WritingTask(Record):
    """One request to the model to write: instructions, topics of a type, or one instruction about a topic.

    ``number`` tells apart tasks whose chats are alike: each has its own draw.
    """

    _prefix: ClassVar[str] = "task-"

    number: int
    chat: Chat
    type: str | None = None
    topic: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft(Record):
    """What the model wrote for a task. ``reason``: why the task was left out, in a few words."""

    _prefix: ClassVar[str] = "draft-"
    _unless_none: ClassVar[tuple[str, ...]] = ("reason",)

    task_id: str
    text: str
    finish: Finish
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Harvest(Record):
    """What a round of drafts came to: instructions kept, and how many were dropped for which reason."""

    _prefix: ClassVar[str] = "harvest-"

    kept: tuple[Instruction, ...]
    dropped: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aligned(Record):
    """A model's answer to an instruction in the alignment or cloning stage, sifted.

    ``thoughts``: the internal thoughts before the answer (none when cloning); ``rules``: names of the rules
    that they apply; ``text``: the answer, cut where a filter cuts; ``reason``: why it was dropped, empty
    where it was kept.
    """

    _prefix: ClassVar[str] = "aligned-"

    instruction_id: str
    text: str
    thoughts: str = ""
    rules: tuple[str, ...] = ()
    kept: bool
    reason: str = ""
    finish: Finish
    tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally(Record):
    """Counts over all answers of a stage. ``usage``: rule -> kept answers that apply it; ``by_type``:
    instruction type -> rule -> the same; ``answered``: instruction type -> kept answers; ``words``: of all
    kept answers; ``digest``: a hash of all answers.
    """

    _prefix: ClassVar[str] = "tally-"

    asked: int
    kept: int
    dropped: dict[str, int]
    usage: dict[str, int] = field(default_factory=dict)
    by_type: dict[str, dict[str, int]] = field(default_factory=dict)
    answered: dict[str, int] = field(default_factory=dict)
    words: int = 0
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured(Record):
    """A model of the pipeline with its reports: ``stage`` is base, engraved or cloned."""

    _prefix: ClassVar[str] = "measured-"

    stage: Literal["base", "engraved", "cloned"]
    checkpoint: Checkpoint
    reports: tuple[EvalReport, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfAlignResult(Record):
    """What a finished run came to. ``models``: base, engraved and, where there was a fourth stage, cloned;
    the last one is the result.

    ``instructions``: how many there were of each origin; ``aligned`` and ``cloned``: counts over the answers
    of stages 2 and 4; ``human_lines``: lines written by people, by what they are; ``helpfulness``: cloned
    answers judged against engraved ones, where that was wanted.
    """

    _prefix: ClassVar[str] = "result-"
    _unless_none: ClassVar[tuple[str, ...]] = ("helpfulness",)

    models: tuple[Measured, ...]
    instructions: dict[str, int]
    aligned: Tally
    cloned: Tally | None = None
    human_lines: dict[str, int] = field(default_factory=dict)
    helpfulness: EvalReport | None = None

    @property
    def checkpoint(self) -> Checkpoint:
        """The weights that the run came to."""
        return self.models[-1].checkpoint
