"""The tasks of ``iteralign evaluate`` as ``--list`` tells them: what each measures, its source, chance level
and licence. Only a table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from iteralign.metrics import metric

_HHH: Final = ("hhh_alignment/hhh_alignment.jsonl", "hhh_alignment.jsonl", "hhh.jsonl")
_TRUTHFULQA: Final = (
    "truthfulqa/mc_task_v1_817.json",
    "mc_task_v1_817.json",
    "TruthfulQA/mc_task.json",
    "truthfulqa/mc_task.json",
    "mc_task.json",
    "truthfulqa/TruthfulQA_v1_817.csv",
    "TruthfulQA.csv",
    "multiple_choice/validation-00000-of-00001.parquet",
)
_TRUTHFULQA_2025: Final = (
    "truthfulqa/mc_task_2025_790.json",
    "mc_task_2025_790.json",
    "truthfulqa/TruthfulQA_2025_790.csv",
    *_TRUTHFULQA[2:5],
)


@dataclass(frozen=True, slots=True)
class Task:
    """What ``--list`` tells of a task.

    ``files``: names that its data have in a data directory. ``judged``: it needs an oracle.
    """

    name: str
    measures: str
    source: str
    licence: str
    chance: str
    files: tuple[str, ...] = ()
    judged: bool = False


_ALL = (
    Task(
        "hhh",
        "which of two replies is better; 221 items, both orders",
        "Askell et al. 2021, BIG-bench hhh_alignment",
        "Apache-2.0; carries BIG-bench's canary: never train on it",
        "0.5",
        _HHH,
    ),
    Task(
        "hhh-likelihood",
        "the better reply is the likelier one after the bare request; for models that follow no letters",
        "Askell et al. 2021, BIG-bench hhh_alignment",
        "Apache-2.0; carries BIG-bench's canary: never train on it",
        "0.5",
        _HHH,
    ),
    Task(
        "truthfulqa-mc1",
        "the likeliest candidate is the best answer",
        "Lin et al. 2022",
        "Apache-2.0",
        "0.2225 on v1",
        _TRUTHFULQA,
    ),
    Task(
        "truthfulqa-mc2",
        "the probability on correct answers",
        "Lin et al. 2022",
        "Apache-2.0",
        "0.4641 on v1",
        _TRUTHFULQA,
    ),
    Task(
        "truthfulqa-dromedary",
        "the candidate that is most surely called true is the best answer",
        "Sun et al. 2023, over all candidates",
        "Apache-2.0",
        "0.2225 on v1",
        _TRUTHFULQA,
    ),
    Task(
        "truthfulqa-dromedary-compat",
        "the same over the first half of the candidates, as the published scorer: for old numbers only",
        "Sun et al. 2023",
        "Apache-2.0",
        "0.4070 on v1",
        _TRUTHFULQA,
    ),
    Task(
        "truthfulqa-binary",
        "best answer against best wrong one, both orders",
        "the 2025 revision",
        "Apache-2.0",
        "0.5",
        _TRUTHFULQA_2025,
    ),
    Task(
        "truthfulqa-gen",
        "answers that are truthful, informative, and both, by a judge",
        "Lin et al. 2022",
        "Apache-2.0",
        "none",
        _TRUTHFULQA,
        judged=True,
    ),
    Task(
        "harm",
        "improper answers to red-team prompts",
        "the recipe's red-team set, or a file",
        "the set's",
        "none",
        judged=True,
    ),
    Task(
        "over-refusal",
        "refusals of benign prompts",
        "the recipe's benign set, or a file",
        "the set's",
        "none",
        judged=True,
    ),
    Task(
        "vicuna",
        "80 open questions, answers compared with the parent's in both orders",
        "Chiang et al. 2023",
        "Apache-2.0",
        "0.5",
        ("vicuna_bench/question.jsonl", "vicuna.jsonl"),
        judged=True,
    ),
    Task(
        "mt-bench",
        "80 open questions of two turns, answers compared with the parent's in both orders",
        "Zheng et al. 2023",
        "Apache-2.0",
        "0.5",
        ("mt_bench/question.jsonl", "mt_bench.jsonl"),
        judged=True,
    ),
    Task(
        "capability",
        f"loss of reference answers, {metric('capability').unit}, and perplexity",
        "the embedded model's grammar, or a file of prompts with responses",
        "the file's",
        "none",
        ("dolly_subset/dolly_3k.json", "capability.jsonl"),
    ),
)
TASKS: Final[dict[str, Task]] = {t.name: t for t in _ALL}
