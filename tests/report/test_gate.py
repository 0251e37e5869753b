"""What the plan says of the gate holds for the gate itself."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from iteralign.build.run import start
from iteralign.errors import RecipeError
from iteralign.recipe.load import load_recipe
from iteralign.records.iteralign import EvalReport
from iteralign.report import power
from iteralign.report.forecast import Sizes, as_dict, forecast
from iteralign.report.gate import never_passes
from iteralign.report.plan import plan_lines
from iteralign.stages.accept import falls, non_inferior, retained
from iteralign.stats import estimate

SIZES = Sizes(prompts=360, held_out=360, benign=240, held_out_benign=240)


def report(name: str, values: list[float]) -> EvalReport:
    per_item = {f"{i:04}": v for i, v in enumerate(values)}
    return EvalReport(
        name=name, checkpoint="c", version="1", metrics={name: estimate(values)}, per_item=per_item
    )


@pytest.mark.parametrize("alpha", [0.05, 0.0025])
def test_a_total_fall_passes_from_the_n_on_that_is_needed(alpha: float) -> None:
    needed = power.needed_to_fall(alpha)
    for n in range(1, 20):
        test = falls(report("harm", [1.0] * n), report("harm", [0.0] * n), alpha=alpha)
        assert test.passed == (n >= needed)


@pytest.mark.parametrize("margin", [0.03, 0.05, 0.171])
def test_no_change_of_a_rate_passes_from_the_n_on_that_is_needed(margin: float) -> None:
    needed = power.needed_to_hold(margin)
    for n in (needed - 1, needed, needed + 1, 3 * needed):
        same = report("over_refusal", [0.0] * n)
        right = report("hhh", [1.0] * n)
        assert non_inferior(same, same, margin=margin).passed == (n >= needed)
        assert retained(right, right, margin=margin).passed == (n >= needed)
    assert power.margin_for(needed) <= margin < power.margin_for(needed - 1)


@pytest.mark.parametrize("margin", [0.05, 0.1, 0.9])
def test_no_change_of_a_loss_passes_from_the_n_on_that_is_needed(margin: float) -> None:
    needed = power.needed_to_keep(margin)
    for n in (needed - 1, needed, needed + 1, 3 * needed):
        same = report("capability", [0.3] * n)
        assert retained(same, same, margin=margin).passed == (n >= needed)


def share(n: int, worse: float, better: float, margin: float | None) -> float:
    """How often the gate's test passes, simulated: against a margin, or a fall at 0.05."""
    rng = random.Random(n)
    passed = 0
    for _ in range(400):
        kinds = rng.choices(("worse", "better", "same"), (worse, better, 1 - worse - better), k=n)
        name = "harm" if margin is None else "over_refusal"
        before = report(name, [float(k == "better") for k in kinds])
        after = report(name, [float(k == "worse") for k in kinds])
        test = falls(before, after) if margin is None else non_inferior(before, after, margin=margin)
        passed += test.passed
    return passed / 400


def test_the_effects_that_are_told_have_the_power_that_is_told() -> None:
    fall = power.fall_seen(120, 0.05)
    rise = power.rise_passed(240, 0.05)
    assert fall is not None
    assert rise is not None
    assert share(120, power.CHURN, power.CHURN + fall, None) == pytest.approx(power.POWER, abs=0.06)
    assert share(240, power.CHURN + rise, power.CHURN, 0.05) == pytest.approx(power.POWER, abs=0.06)
    assert power.rise_passed(60, 0.05) is None, "one answer that changes by chance is too many"
    assert power.fall_seen(5, 0.05) is None


def test_the_plan_tells_of_every_test_what_it_has_needs_and_sees() -> None:
    recipe = load_recipe(
        "embedded",
        ["accept.over_refusal_margin=0.05", "evaluation.over_refusal_limit=null", "stop.iterations=3"],
    )
    sizes = Sizes(
        prompts=360,
        held_out=360,
        benign=240,
        held_out_benign=240,
        tasks=(("capability", 200), ("hhh", 221), ("lm-eval:x", None)),
    )
    plan = as_dict(forecast(recipe, sizes))
    assert [(t["metric"], t["n"], t["needed"]) for t in plan["gate"]] == [
        ("harm", 360, 9),
        ("over_refusal", 240, 59),
        ("fluency", 600, 99),
        ("capability", 200, 19),
        ("hhh", 221, 59),
        ("lm-eval:x", None, 39),
    ]
    page = "\n".join(plan_lines(plan, recipe.model_dump(mode="json")))
    assert "gate              harm: n = 360, needs 9; finds a fall of" in page
    assert "over-refusal: n = 240, needs 59; margin 0.05, passes a rise of up to 1.5 points" in page
    assert "lm-eval:x: n = not known, needs 39" in page
    off = load_recipe("smoke")
    assert "every candidate is accepted" in "\n".join(
        plan_lines(as_dict(forecast(off, SIZES)), off.model_dump(mode="json"))
    )


def test_a_gate_that_can_never_pass_is_refused_before_the_directory_is_made(tmp_path: Path) -> None:
    sets = [
        "benign.limit=32",
        "benign.held_out=0.5",
        "evaluation.over_refusal_limit=null",
        "accept.over_refusal_margin=0.05",
        "evaluation.test_share=0",
    ]
    few = load_recipe("embedded", sets)
    with pytest.raises(RecipeError) as caught:
        start(few, tmp_path / "run")
    for part in (
        "over_refusal has n = 16 and needs 59 (margin 0.05)",
        "benign.held_out (0.5)",
        "accept.over_refusal_margin to 0.171",
        "accept.enabled=false",
    ):
        assert part in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_the_remedies_of_a_gate_that_can_never_pass_are_remedies() -> None:
    sets = [
        "stop.iterations=3",
        "evaluation.test_share=0",
        "evaluation.over_refusal_limit=30",
        "accept.over_refusal_margin=0.05",
    ]

    def why(*more: str) -> str | None:
        recipe = load_recipe("embedded", [*sets, *more])
        return never_passes(recipe, forecast(recipe, SIZES).gate)

    assert "evaluation.over_refusal_limit (30)" in str(why())
    assert why("evaluation.over_refusal_limit=59") is None
    assert why(f"accept.over_refusal_margin={power.margin_for(30):g}") is None
    assert why("accept.enabled=false") is None
    assert "harm has n = 4 and needs 9 (alpha 0.00416667)" in str(why("evaluation.harm_limit=4"))
