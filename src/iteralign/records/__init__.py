"""The records that travel between stages and lie in the store.

The names below are for users; our own code imports from the files.
"""

from iteralign.canonical import canonical, content_hash, from_json, to_json
from iteralign.records.base import Record
from iteralign.records.chat import Chat, Completion, Finish, Message, Role, SamplingParams, Score
from iteralign.records.constitution import Amendment, Constitution, Principle, PrincipleStatus
from iteralign.records.iteralign import (
    Aspect,
    Checkpoint,
    Compliance,
    Decision,
    EvalReport,
    Exchange,
    Failure,
    GateTest,
    Intent,
    IterationRecord,
    Judged,
    Label,
    RedTeamPrompt,
    Response,
    Revision,
    RunResult,
    Screening,
    Split,
    TrainingExample,
    Verdict,
)
from iteralign.stats import Estimate

__all__ = [
    "Amendment",
    "Aspect",
    "Chat",
    "Checkpoint",
    "Completion",
    "Compliance",
    "Constitution",
    "Decision",
    "Estimate",
    "EvalReport",
    "Exchange",
    "Failure",
    "Finish",
    "GateTest",
    "Intent",
    "IterationRecord",
    "Judged",
    "Label",
    "Message",
    "Principle",
    "PrincipleStatus",
    "Record",
    "RedTeamPrompt",
    "Response",
    "Revision",
    "Role",
    "RunResult",
    "SamplingParams",
    "Score",
    "Screening",
    "Split",
    "TrainingExample",
    "Verdict",
    "canonical",
    "content_hash",
    "from_json",
    "to_json",
]
