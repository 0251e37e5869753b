"""What a person sees: complete, one line per step, and safe whatever a model wrote."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest

from iteralign import load_run
from iteralign.build.run import resume, start
from iteralign.recipe.iteralign import Recipe
from iteralign.recipe.load import load_recipe
from iteralign.report import excerpts, findings, summary, tables
from iteralign.report.console import Reporter, console
from iteralign.report.forecast import Sizes, as_dict, forecast
from iteralign.report.memory import Shape
from iteralign.report.plan import plan_lines
from iteralign.store.run import Event


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def result_of(directory: Path) -> str:
    page = io.StringIO()
    with load_run(directory) as run:
        tables.print_result(console(page), summary.summary(run), findings.before_after(run))
    return page.getvalue()


def test_the_end_of_a_run_tells_everything(finished: Path) -> None:
    page = result_of(finished)
    for text in (
        "failures",
        "kept/dropped",
        "held-out harm",
        "over-refusal",
        "100.0% [94.0, 100.0]",
        "accepted",
        "McNemar",
    ):
        assert text in page
    assert "Decline to help with theft" in page
    assert page.count("before:") == page.count("after: ") == 3
    assert str(finished) in page
    assert "all 3 iterations are done" in page


def test_what_a_model_wrote_cannot_act_on_the_terminal(finished: Path) -> None:
    page = io.StringIO()
    with load_run(finished) as run:
        tables.print_result(console(page), summary.summary(run), findings.before_after(run))
        excerpts.print_failures(console(page), findings.failures(run), 100)
        excerpts.print_revised(console(page), findings.revised(run), 100)
    text = page.getvalue()
    assert "\\x1b[31mhere is how[/bold] [red]one\\x07 would\\u202e go" in text, (
        "shown as it is written, markup and all"
    )
    assert not [c for c in text if c != "\n" and not c.isprintable()]


def test_a_page_of_failures_tells_how_many_there_are_and_not_how_many_it_shows(finished: Path) -> None:
    page = io.StringIO()
    with load_run(finished) as run:
        rows = findings.failures(run)
        tried = findings.revised(run)
        excerpts.print_failures(console(page), rows, 2)
        excerpts.print_revised(console(page), tried, 2)
    assert f"Failures: {len(rows)} improper" in page.getvalue()
    assert f"Revisions: {len(tried)} tries" in page.getvalue()
    assert f"and {len(rows) - 2} more" in page.getvalue()
    assert page.getvalue().count("oracle: ") == 2


def test_without_a_terminal_each_step_is_one_line(scripted: Recipe, tmp_path: Path) -> None:
    page = io.StringIO()
    with Reporter(page) as reporter:
        start(scripted, tmp_path / "run", reporter)
    lines = page.getvalue().splitlines()
    assert sum("red teaming" in line for line in lines) == 3
    assert sum("fine-tuning" in line for line in lines) == 3
    assert any(line.startswith("iteration 2") and "4 self-reflection" in line for line in lines)
    assert len(lines) < 60
    assert not any("taken from the run" in line for line in lines)
    assert "\x1b" not in page.getvalue()


def test_a_resumed_run_says_how_much_it_took_over(scripted: Recipe, tmp_path: Path) -> None:
    start(
        scripted.model_copy(update={"stop": scripted.stop.model_copy(update={"iterations": 1})}),
        tmp_path / "run",
    )
    page = io.StringIO()
    with Reporter(page) as reporter:
        resume(tmp_path / "run", {"stop": {"iterations": 2}}, reporter)
    lines = page.getvalue().splitlines()
    assert lines[0].startswith("finished before and taken from the run: ")
    assert sum("taken from the run" in line for line in lines) == 1
    assert lines[1].startswith("iteration 2")


def test_on_a_terminal_progress_is_live_and_ends_with_the_run(scripted: Recipe, tmp_path: Path) -> None:
    page = Terminal()
    with Reporter(page) as reporter:
        start(scripted, tmp_path / "run", reporter)
    assert "\x1b[?25h" in page.getvalue(), "the cursor is given back"
    assert "red teaming" in page.getvalue()


def test_quiet_keeps_warnings_only(scripted: Recipe, tmp_path: Path) -> None:
    page = io.StringIO()
    reporter = Reporter(page, quiet=True)
    start(scripted, tmp_path / "run", reporter)
    assert page.getvalue() == ""
    reporter(Event(1, 0.0, "warning", {"text": "out of memory,\x1b[2J batch halved"}))
    assert page.getvalue() == "warning: out of memory,\\x1b[2J batch halved\n"


def test_a_long_step_says_now_and_then_where_it_is() -> None:
    page = io.StringIO()
    reporter = Reporter(page)
    for second in range(0, 100, 5):
        state = "started" if second == 0 else "progress"
        fields = {
            "scope": "iteration-0001",
            "name": "red_team",
            "state": state,
            "done": second,
            "total": 1000,
            "seconds": float(second),
        }
        reporter(Event(second, float(second), "step", fields))
    assert [" ".join(line.split()[-6:]) for line in page.getvalue().splitlines()] == [
        "30 of 1000, 16 min left",
        "60 of 1000, 16 min left",
        "90 of 1000, 15 min left",
    ]


def test_an_empty_constitution_and_an_unfinished_run_are_said_to_be_so() -> None:
    page = io.StringIO()
    data = {
        "baseline": {},
        "gate": {"baseline": {}, "final": {}},
        "part": "gate",
        "looks": 0,
        "final": {},
        "iterations": [],
        "improvement": [],
        "constitution": [],
        "paths": {"run": "runs/r"},
        "stop_reason": None,
        "state": "interrupted",
    }
    data |= {
        "spent": {"calls": 0},
        "agreement": [],
        "calibration": None,
        "judge": {"told": "agreement with people not measured"},
    }
    tables.print_result(console(page), data, [])
    assert "no principle was found" in page.getvalue()
    assert "no held-out prompt" in page.getvalue()
    assert "Judge of harm: agreement with people not measured." in page.getvalue()
    assert "not finished (interrupted)" in page.getvalue()
    assert page.getvalue().endswith("Next\n  iteralign status runs/r\n  iteralign resume runs/r\n")


def test_unjudged_answers_are_shown(finished: Path) -> None:
    with load_run(finished) as run:
        data = summary.summary(run)
    data["iterations"][0]["unjudged"] = 5
    page = io.StringIO()
    tables.print_iterations(console(page), data)
    assert "(+5 unjudged)" in page.getvalue()


SHAPE = Shape(parameters=5e6, layers=5, hidden=256, inner=640, vocabulary=4096, cache_bytes=5120)
SIZES = Sizes(prompts=200, held_out=360, benign=100, held_out_benign=240, shape=SHAPE)


def test_the_time_counts_the_start_each_batch_and_each_training_beside_the_work() -> None:
    recipe = load_recipe("smoke")
    rates = {"answers_per_second": 60.0, "examples_per_second": 20.0, "judgements_per_second": 400.0}
    work = forecast(recipe, replace(SIZES, **rates))
    plan = forecast(recipe, replace(SIZES, **rates, start_seconds=9, batch_seconds=1, training_seconds=2))
    assert work.seconds is not None
    assert plan.seconds is not None
    batches = plan.seconds - work.seconds - 9 - 2 * plan.trainings
    full = plan.generations / recipe.model.batch_size
    assert full <= batches <= full + 8 * (plan.iterations + 1)  # a stage ends in a batch that is not full
    wide = load_recipe("smoke", ["model.batch_size=1024"])
    large = forecast(wide, replace(SIZES, **rates, batch_seconds=1))
    assert large.seconds is not None
    assert large.seconds < work.seconds + batches


def test_the_forecast_of_a_paid_oracle_gives_tokens_and_a_cost_only_where_every_price_is_known() -> None:
    chat = ["oracle.kind=chat", "oracle.model=small", "oracle.proposer=large"]
    sizes = replace(SIZES, judges=("small",), instruction_chars=4000, prompt_chars=60)
    plan = as_dict(
        forecast(load_recipe("embedded", [*chat, "budget.prices={small: {input: 1, output: 2}}"]), sizes)
    )
    assert plan["oracle_cost"] is None
    assert plan["oracle_unpriced"] == ("large",)
    prices = "budget.prices={small: {input: 1, output: 2}, large: {input: 10, output: 20}}"
    recipe = load_recipe("embedded", [*chat, prices])
    plan = as_dict(forecast(recipe, sizes))
    small = (plan["judgements"] * (1015 + 64) * 1 + plan["judgements"] * 90 * 2) / 1e6
    large = plan["proposals"] * (3000 * 10 + 500 * 20) / 1e6
    assert plan["oracle_cost"] == pytest.approx(small + large, rel=0.001)
    assert "cost <= about" in "\n".join(plan_lines(plan, recipe.model_dump(mode="json")))
    free = as_dict(forecast(load_recipe("embedded"), SIZES))
    assert free["oracle_input_tokens"] is None


def test_the_forecast_bounds_what_a_run_does(scripted: Recipe, tmp_path: Path) -> None:
    """Counted on a run in which everything fails at first: no count may pass its forecast."""
    result = start(scripted, tmp_path / "run")
    plan = forecast(scripted, Sizes(prompts=60, held_out=60, benign=20, held_out_benign=40))
    with load_run(tmp_path / "run") as run:
        done = [e.fields for e in run.events("step") if e.fields["state"] == "done"]
    generated = sum(
        f["total"] * (2 if f["name"].startswith("revise") else 1)
        for f in done
        if f["name"].startswith(("red_team", "responses", "revise"))
    )
    judged = sum(f["total"] for f in done if f["name"].startswith(("judge", "verdicts", "screen-")))
    assert len(result.iterations) <= plan.iterations == 3
    assert generated <= plan.generations <= 3 * generated
    assert judged <= plan.judgements <= 3 * judged
    assert plan.oracle_calls == plan.judgements + plan.proposals


def test_measuring_every_so_often_takes_so_many_oracle_calls_fewer() -> None:
    sizes = replace(SIZES, prompts=250 * 20, judges=("small",))
    every, some = (
        forecast(load_recipe("paper-llama2-7b-hh-rlhf", [f"evaluation.every={n}"]), sizes) for n in (1, 100)
    )
    assert every.iterations == some.iterations == 250
    items = every.held_out + every.held_out_benign
    assert every.oracle_calls - some.oracle_calls == (250 - 3) * items, "two of 250, and the final one"


def test_the_forecast_stops_at_the_data() -> None:
    recipe = Recipe.model_validate({"stop": {"iterations": 50}, "evaluation": {"harm_limit": 100}})
    plan = forecast(recipe, SIZES)
    assert plan.iterations == 3, "200 prompts are three batches of 96 at most"
    assert plan.held_out == 50, "the other half of the limit is the test part's"
    assert plan.disk_bytes is not None
    assert 60_000_000 <= plan.disk_bytes < 100_000_000
    assert plan.seconds is None, "no rates, no guess"


def test_the_plan_is_readable(scripted: Recipe) -> None:
    lines = plan_lines(
        as_dict(forecast(scripted, SIZES)), scripted.model_dump(mode="json"), "runs/x\x1b[2J", resumed=True
    )
    text = "\n".join(lines)
    assert "runs/x\\x1b[2J (resuming the run that is there)" in text
    assert "not known for this model" in text
    assert "200 to learn from, 12 an iteration; 360 more, only for measuring" in text


def test_plain_results_are_aligned_lines_with_intervals() -> None:
    data = {
        "path": "a\x1b.jsonl",
        "labels": {"proper": 3, "improper": 5},
        "accuracy": {"rate": 0.9, "n": 100, "low": 0.82, "high": 0.95},
    }
    assert tables.lines(data.items()) == [
        "path      a\\x1b.jsonl",
        "labels    proper 3, improper 5",
        "accuracy  90.0% [82.0, 95.0] (n=100)",
    ]


def test_over_refusal_stands_by_kind_of_prompt_below_the_scores() -> None:
    kind = {"rate": 0.25, "low": 0.1, "high": 0.5, "n": 20}
    main = {"rate": 0.1, "low": 0.05, "high": 0.2, "n": 60}
    rows = [
        {"label": "base", "scores": {"harm": main, "over_refusal": main | {"kinds": {"homonyms": kind}}}},
        {"label": "1", "scores": {"harm": main, "over_refusal": main}},
    ]
    stream = io.StringIO()
    tables.print_scores(console(stream), rows, {"told": "words"})
    (line,) = [x for x in stream.getvalue().splitlines() if "homonyms" in x]
    assert "25.0% [10.0, 50.0]" in line
    assert line.rstrip().endswith("20")
    assert "Over-refusal by kind of prompt" in stream.getvalue()
