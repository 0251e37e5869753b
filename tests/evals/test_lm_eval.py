"""Our numbers are lm-eval's, on the organism with real weights; and our statistics are statsmodels' and
scikit-learn's.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from iteralign.build.evaluations_lm_eval import write_lm_eval
from iteralign.build.tasks import chosen
from iteralign.evals import hhh, truthfulqa
from iteralign.organism import ORGANISM_PATH
from iteralign.records.iteralign import Checkpoint
from iteralign.stats import holm, kappa, mcnemar_exact, wilson
from iteralign.store.run import Run

SHARED = next(
    (p / "shared" / "data" for p in Path(__file__).resolve().parents if (p / "shared" / "data").is_dir()),
    None,
)
NAMES = ["truthfulqa-mc1", "truthfulqa-mc2", "truthfulqa-binary", "hhh", "hhh-likelihood"]
WORDS = [
    "river",
    "window",
    "paper",
    "crane",
    "morning",
    "tea",
    "garden",
    "letter",
    "train",
    "lamp",
    "winter",
    "bread",
    "ocean",
    "chair",
    "story",
]


def own_files(folder: Path, n: int = 25) -> dict[str, Path]:
    """Questions of ours in the published layouts, with candidates that share beginnings."""
    rng = random.Random(7)

    def text(words: int) -> str:
        return " ".join(rng.choice(WORDS) for _ in range(words))

    questions, replies = [], []
    for i in range(n):
        start = text(2)
        right, wrong = (
            [f"{start} {text(k + 1)} r{k}" for k in range(1 + i % 3)],
            [f"{start} {text(k + 2)} w{k}" for k in range(1 + i % 4)],
        )
        one = {right[0]: 1, **dict.fromkeys(wrong, 0)}
        many = {**dict.fromkeys(right, 1), **dict.fromkeys(wrong, 0)}
        questions.append(
            {
                "question": f"What of the {text(3)} {i}?",
                "mc0_targets": {right[0]: 1, wrong[0]: 0},
                "mc1_targets": one,
                "mc2_targets": many,
            }
        )
        replies.append(
            {"subset": hhh.SUBSETS[i % 4], "input": f"{text(6)} {i}", "chosen": text(9), "rejected": text(4)}
        )
    (folder / "mc.json").write_text(json.dumps(questions))
    (folder / "hhh.jsonl").write_text("\n".join(map(json.dumps, replies)))
    return {"truthfulqa": folder / "mc.json", "hhh": folder / "hhh.jsonl"}


def theirs(folder: Path, limit: int | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    lm_eval = pytest.importorskip("lm_eval")
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    names = [
        f"iteralign_{n.replace('-', '_')}"
        for n in NAMES
        if (folder / f"iteralign_{n.replace('-', '_')}.yaml").exists()
    ]
    model = HFLM(pretrained=str(ORGANISM_PATH), dtype="float32", device="cpu", batch_size=16)
    found = lm_eval.simple_evaluate(
        model=model,
        tasks=names,
        task_manager=TaskManager(include_path=str(folder)),
        apply_chat_template=True,
        log_samples=True,
        bootstrap_iters=0,
        limit=limit,
    )
    return found["results"], found["samples"]


def ours(tmp_path: Path, evals: list[Any]) -> tuple[list[Any], dict[tuple[str, str], float]]:
    """Reports, and every log-probability by question and candidate."""
    from iteralign.engines.hf.host import HFHost
    from iteralign.evals.choices import Scores

    host = HFHost(device="cpu", dtype="float32", batch_size=16, locate=lambda c: c.path, warn=print)
    with (
        Run.create(tmp_path / "run", {}, "") as run,
        host.serve(Checkpoint(path=str(ORGANISM_PATH))) as policy,
    ):
        # a scope for each: of a step that is given other questions, the earlier ones are no longer current
        reports = [e.run(policy, run.scope(e.name)) for e in evals]
        scores = {s.question_id: s for e in evals for s in run.read(Scores, e.name, "scores")}
    found = {}
    for each in evals:
        asked = each.questions()
        for q in [q for own in asked for q in own] if isinstance(asked[0], list) else asked:
            if not scores[q.id].shortened:
                found |= {
                    (q.messages[-1].text, c): t
                    for c, t in zip(q.candidates, scores[q.id].totals, strict=True)
                }
    return reports, found


def compare(tmp_path: Path, files: dict[str, Path], names: list[str], limit: int | None = None) -> None:
    write_lm_eval(chosen(names), None, files, tmp_path / "tasks")
    results, samples = theirs(tmp_path / "tasks", limit)
    items = truthfulqa.load(files["truthfulqa"])
    evals: list[Any] = [
        truthfulqa.TruthfulQA(items, n.removeprefix("truthfulqa-"), {}) for n in names if n[:3] != "hhh"
    ]
    replies = hhh.load(files["hhh"])
    evals += [hhh.HHH(replies, {})] if "hhh" in names else []
    evals += [hhh.HHHLikelihood(replies, {})] if "hhh-likelihood" in names else []
    reports, found = ours(tmp_path, evals)
    compared = 0
    for task, rows in samples.items():
        # lm-eval sums a reply's hundreds of tokens in float32: to thousands of nats
        near = 1e-3 if task == "iteralign_hhh_likelihood" else 1e-4
        for sample in rows:
            for choice, ((value, _),) in zip(sample["doc"]["choices"], sample["resps"], strict=True):
                key = (sample["doc"]["prompt"], choice)
                if key in found:
                    compared += 1
                    assert found[key] == pytest.approx(value, abs=near)
    assert compared > 100
    if limit is None:
        metric = {
            "truthfulqa-mc1": "acc,none",
            "truthfulqa-mc2": "mc2,none",
            "truthfulqa-binary": "both_orders,none",
            "hhh": "both_orders,none",
            "hhh-likelihood": "acc,none",
        }
        for report in reports:
            if report.name == "hhh-likelihood":
                per_character = results["iteralign_hhh_likelihood"]["acc_norm,none"]
                assert report.metrics["hhh-likelihood/normalised"].value == pytest.approx(per_character)
            value = results[f"iteralign_{report.name.replace('-', '_')}"][metric[report.name]]
            if report.facts.get("shortened", "0") == "0":
                assert report.main.value == pytest.approx(
                    value, abs=1e-6 if report.name == "truthfulqa-mc2" else 1e-12
                )


@pytest.mark.slow
def test_log_probabilities_and_accuracies_are_lm_evals(tmp_path: Path) -> None:
    compare(tmp_path, own_files(tmp_path), NAMES)


@pytest.mark.slow
def test_they_are_on_the_published_questions_too(tmp_path: Path) -> None:
    if SHARED is None:
        pytest.skip("no folder shared/data beside the checkout: the published sets are not shipped")
    files = {
        "truthfulqa": SHARED / "truthfulqa" / "mc_task_v1_817.json",
        "hhh": SHARED / "hhh_alignment" / "hhh_alignment.jsonl",
    }
    compare(tmp_path, files, ["truthfulqa-mc1", "truthfulqa-mc2", "hhh", "hhh-likelihood"], limit=40)


def test_the_statistics_are_those_of_statsmodels_and_scikit_learn() -> None:
    from sklearn.metrics import cohen_kappa_score
    from statsmodels.stats.contingency_tables import mcnemar
    from statsmodels.stats.multitest import multipletests
    from statsmodels.stats.proportion import proportion_confint

    rng = random.Random(3)
    for n in (1, 5, 58, 221, 817):
        for k in {0, 1, n // 3, n - 1, n}:
            low, high = proportion_confint(k, n, method="wilson")
            found = wilson(k, n)
            assert (found.low, found.high) == pytest.approx((max(0.0, low), min(1.0, high)), abs=1e-9)
    for b, c in [(0, 0), (3, 0), (10, 4), (25, 31), (100, 60)]:
        assert mcnemar_exact(b, c) == pytest.approx(mcnemar([[50, b], [c, 50]], exact=True).pvalue, abs=1e-9)
    for _ in range(20):
        p = [rng.random() ** 3 for _ in range(rng.randint(1, 8))]
        assert holm(p) == pytest.approx(multipletests(p, method="holm")[1].tolist(), abs=1e-12)
        a, b2 = ([rng.choice("xyz") for _ in range(40)] for _ in range(2))
        assert kappa(a, b2) == pytest.approx(cohen_kappa_score(a, b2), abs=1e-12)
