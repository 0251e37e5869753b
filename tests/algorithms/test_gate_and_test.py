"""What decides does not claim: the test part is asked at the end. Lessons of a roll-back are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from iteralign.build.run import resume, start
from iteralign.recipe.iteralign import Recipe
from iteralign.records.iteralign import Response, TrainingExample
from iteralign.report.summary import summary
from iteralign.store.run import Run


@pytest.fixture
def tested(with_a_test_part: Recipe, tmp_path: Path) -> Path:
    start(with_a_test_part, tmp_path / "run")
    return tmp_path / "run"


def test_claims_rest_on_the_test_part_which_only_base_and_final_model_are_asked(tested: Path) -> None:
    with Run.open(tested, readonly=True) as run:
        data = summary(run)
        asked = [s for s in run.scopes() if s.startswith("test-")]
        answered = [len(run.read(Response, s, "responses")) for s in asked]
        last = [e.seq for e in run.events("step") if e.fields["scope"] in asked]
        decided = [e.seq for e in run.events("iteration")]
    assert data["part"] == "test"
    assert answered == [15 + 9, 15 + 9], "base and final model"
    assert min(last) > max(decided), "nothing of it is known while anything is decided"
    counts = {t["metric"]: t["n"] for t in data["improvement"]}
    assert counts == {"harm": 15, "over_refusal": 9, "fluency": 100}, "the last is not parted: as a task"
    assert (data["baseline"]["harm"]["n"], data["final"]["harm"]["n"]) == (15, 15)
    assert data["gate"]["baseline"]["harm"]["n"] == 60
    assert data["looks"] == 2


def test_a_run_that_was_extended_says_how_many_models_were_asked(
    with_a_test_part: Recipe, tmp_path: Path
) -> None:
    once = with_a_test_part.stop.model_copy(update={"iterations": 1})
    begun = with_a_test_part.model_copy(update={"stop": once})
    start(begun, tmp_path / "short")
    resume(tmp_path / "short", {"stop": {"iterations": 2}})
    with Run.open(tmp_path / "short", readonly=True) as run:
        assert summary(run)["looks"] == 3


@pytest.mark.parametrize("keep", [True, False])
def test_lessons_of_a_candidate_that_was_rolled_back_are_learnt_with_the_next(
    keep: bool, scripted: Recipe, tmp_path: Path
) -> None:
    hard = scripted.model_copy(
        update={"accept": scripted.accept.model_copy(update={"alpha": 1e-12, "keep_lessons": keep})}
    )
    result = start(hard, tmp_path / "run")
    assert [i.decision.accepted for i in result.iterations] == [False, False]
    with Run.open(tmp_path / "run", readonly=True) as run:
        (first,), (second,) = (
            run.read(list[TrainingExample], f"iteration-000{i}", "examples") for i in (1, 2)
        )
    lessons = {e.id for e in first if e.source == "revision"}
    assert lessons
    assert (lessons <= {e.id for e in second}) is keep
