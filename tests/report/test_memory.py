"""The plan's memory, disk and time: held against what was measured, and what it says where nothing fits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from iteralign.algorithms.state import kept_of
from iteralign.build import forecast as forecasts
from iteralign.build.forecast import forecast, warnings_before
from iteralign.build.models import trainer
from iteralign.build.run import _completed, start
from iteralign.build.shape import device_at_hand, settled, shape_of
from iteralign.engines import turns
from iteralign.engines.hf.pace import CPU_WORK
from iteralign.errors import RecipeError
from iteralign.recipe.iteralign import Recipe
from iteralign.recipe.load import load_recipe, shipped
from iteralign.recipe.self_align import SelfAlignRecipe
from iteralign.recipe.training import TrainingSection
from iteralign.records.iteralign import Checkpoint
from iteralign.report.forecast import Sizes, as_dict
from iteralign.report.forecast import forecast as planned
from iteralign.report.forecast_self_align import plan_lines as self_align_plan_lines
from iteralign.report.hardware import CPU_FLOPS, KNOWN, Device, Hardware, answering_seconds, parse_hardware
from iteralign.report.memory import (
    Shape,
    _changes,
    checkpoint_bytes,
    host_bytes,
    needs,
    too_much,
    training_bytes,
    unfinished_bytes,
)
from iteralign.report.plan import plan_lines

LLAMA = Shape(
    parameters=6.738e9, layers=32, hidden=4096, inner=11_008, vocabulary=32_000, cache_bytes=524_288
)
HARMFULQA = Sizes(prompts=1764, held_out=196, benign=0, held_out_benign=120, shape=LLAMA, prompt_chars=90)
HERE = Device(name="this card", hardware=Hardware(None, None, 60e9), here=True, host=1e12)


@pytest.mark.parametrize(
    ("settings", "measured"),
    [
        ({}, 109.4e9),
        ({"optimizer": "adamw-8bit"}, 68.7e9),
        ({"optimizer": "adamw-8bit", "weights": "bfloat16"}, 41.8e9),
        ({"weights": "bfloat16"}, 55.4e9),  # a plain loop, with moments in bfloat16
        ({"method": "lora"}, 18.3e9),
    ],
)
def test_the_memory_of_a_training_is_what_an_h200_showed(settings: Any, measured: float) -> None:
    """Llama-2-7B's shape, 8 x 1,024 tokens."""
    training = TrainingSection(batch_size=8, max_length=1024).model_copy(update=settings)
    assert training_bytes(LLAMA, training) == pytest.approx(measured, rel=0.05)


@pytest.mark.parametrize(("batch", "measured"), [(20, 764), (64, 2460), (256, 5996)])
def test_the_pace_of_answers_is_what_an_h200_showed(batch: int, measured: float) -> None:
    """The same shape in bfloat16: 256 new tokens on prompts of 62 to 102, warm."""
    written = batch * 256
    seconds = answering_seconds(
        KNOWN["h200"],
        parameters=LLAMA.parameters,
        cache_bytes=LLAMA.cache_bytes,
        read=batch * 82,
        written=written,
        row=82 + 256,
        batch=batch,
        engine="hf",
    )
    assert seconds is not None
    assert written / seconds == pytest.approx(measured, rel=0.2)


def test_weights_are_shared_by_gpus_and_activations_are_not() -> None:
    one, fsdp, ddp = (
        training_bytes(LLAMA, TrainingSection(batch_size=8, max_length=1024, **more))
        for more in ({}, {"gpus": 8}, {"gpus": 8, "strategy": "ddp"})
    )
    assert 16 * LLAMA.parameters / 8 < fsdp < one / 5
    assert 16 * LLAMA.parameters < ddp <= one


def test_activations_that_stay_take_memory_and_are_the_first_to_go() -> None:
    narrow = {"weights": "bfloat16", "optimizer": "adamw-8bit", "batch_size": 8, "max_length": 1024}
    full, selective, none = (
        training_bytes(LLAMA, TrainingSection(activation_checkpointing=kind, **narrow))
        for kind in ("full", "selective", "none")
    )
    assert full < selective < 78e9 < none
    section = TrainingSection(activation_checkpointing="none", **narrow)
    said = too_much(LLAMA, section, parse_hardware("h100"), rows=1, tokens=100, width=2)
    assert said is not None
    assert "training.activation_checkpointing = full fits in 42 GB" in said


def test_more_gpus_than_there_are_is_said_so() -> None:
    section = TrainingSection(gpus=8, batch_size=8)
    said = too_much(LLAMA, section, parse_hardware("h200x2"), rows=1, tokens=100, width=2)
    assert said == "training.gpus = 8, and h200x2 is 2 devices: set training.gpus = 2"


def test_what_is_held_narrowly_is_stored_and_proven_narrowly() -> None:
    wide = TrainingSection()
    narrow = TrainingSection(weights="bfloat16", optimizer="adamw-8bit", save_steps=1)
    assert checkpoint_bytes(LLAMA, wide, False) == pytest.approx(4 * LLAMA.parameters, rel=0.01)
    assert checkpoint_bytes(LLAMA, narrow, False) == pytest.approx(2 * LLAMA.parameters, rel=0.01)
    assert unfinished_bytes(LLAMA, narrow) == pytest.approx(2 * 4.03 * LLAMA.parameters, rel=0.01)
    assert host_bytes(LLAMA, wide, width=2) == 4 * LLAMA.parameters
    assert host_bytes(LLAMA, narrow, width=2) == 2 * LLAMA.parameters
    adapter = TrainingSection(method="lora")
    assert host_bytes(LLAMA, adapter, width=2) == 2 * LLAMA.parameters, "395 GB at 70B, before"
    each = TrainingSection(method="lora", gpus=8, strategy="ddp")
    assert host_bytes(LLAMA, each, width=2) == 16 * LLAMA.parameters


def test_a_host_holds_what_is_gathered_and_what_is_blended_with() -> None:
    of = LLAMA.parameters
    split = TrainingSection(gpus=8)
    assert host_bytes(LLAMA, split, width=2) == 8 * of, "gathered weights, and the model they are put into"
    assert host_bytes(LLAMA, split.model_copy(update={"blend": 0.5}), width=2) == 12 * of
    assert host_bytes(LLAMA, TrainingSection(blend=0.5), width=2) == 8 * of
    cpu = Device(name="cpu", hardware=KNOWN["cpu"], kind="cpu")
    plain, blended = (
        needs(LLAMA, TrainingSection(blend=b), cpu, rows=0, tokens=0, width=4).training for b in (None, 0.5)
    )
    assert blended - plain == 4 * of, "the start waits beside the training"


def test_four_bits_are_loaded_whole_before_they_are_split() -> None:
    large = replace(LLAMA, parameters=70e9, layers=80, hidden=8192)
    whole = 0.5 * 69e9
    assert training_bytes(large, TrainingSection(method="qlora", gpus=8, batch_size=8)) > whole
    assert training_bytes(large, TrainingSection(method="lora", gpus=8, batch_size=8)) < whole


def test_activations_in_float32_take_twice() -> None:
    section = TrainingSection(batch_size=8, max_length=1024, activation_checkpointing="none")
    narrow, wide = (training_bytes(LLAMA, section, width=w) for w in (2, 4))
    assert wide - narrow > 0.9 * (narrow - 16 * LLAMA.parameters) - 8 * 1024 * 32_000 * 10


def test_a_training_in_float32_asks_for_the_room_of_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    monkeypatch.setattr(turns, "take", lambda holder, needs, device: asked.append(needs()))
    monkeypatch.setattr("iteralign.build.shape.shape_of", lambda recipe: LLAMA)
    for dtype in ("bfloat16", "float32"):
        recipe = load_recipe("smoke", ["training.method=lora", f"model.dtype={dtype}"])
        trainer(recipe)._before()
    narrow, wide = (x - turns.BATCH for x in asked)
    assert wide / narrow == pytest.approx(2, rel=0.2)


def test_a_remedy_is_one_that_a_recipe_takes() -> None:
    """Weights in bfloat16 are not split: the remedy that splits them unsets them."""
    section = TrainingSection(weights="bfloat16", optimizer="adamw-8bit")
    said = too_much(LLAMA, section, parse_hardware("l4x8"), rows=0, tokens=0, width=2)
    assert said is not None
    assert "training.gpus = 8, training.weights = null fits in" in said
    asked = ["weights=bfloat16", "optimizer=adamw-8bit", "gpus=8", "weights=null"]
    assert load_recipe("smoke", [f"training.{x}" for x in asked]).training.shares == 8
    for begun in (section, section.model_copy(update={"strategy": "ddp", "gpus": 2})):
        for changed, words in _changes(begun, "training", quantised=True, count=8):
            assert TrainingSection(**changed.model_dump()) == changed, words


@pytest.mark.parametrize("gpus", [None, 8])
def test_a_plan_says_how_many_devices_train(gpus: int | None) -> None:
    recipe = load_recipe("paper-llama2-7b-harmfulqa", ["training.batch_size=8"])
    training = recipe.training.model_copy(update={"gpus": gpus})
    recipe = recipe.model_copy(update={"training": training})
    plan = as_dict(planned(recipe, HARMFULQA, parse_hardware("h200x8")))
    page = "\n".join(plan_lines(plan, recipe.model_dump(mode="json")))
    assert ("one of these devices works" in page) is (gpus is None)
    assert ("8 of these devices train, one answers" in page) is (gpus == 8)
    more = [] if gpus is None else ["clone.training.gpus=8"]
    recipe = load_recipe("self-align-7b", more, kind=SelfAlignRecipe)
    page = "\n".join(self_align_plan_lines(forecast(recipe, "h200x8"), recipe.model_dump(mode="json")))
    assert f"one of these devices {'works' if gpus is None else 'answers'}: a served model" in page


def test_a_cpu_is_planned_by_the_engines_own_pace() -> None:
    assert CPU_FLOPS == CPU_WORK / 20


def test_the_remedy_for_7b_on_80_gb_is_named_with_what_it_takes() -> None:
    recipe = load_recipe("paper-llama2-7b-harmfulqa", ["training.batch_size=8"])
    alone = as_dict(planned(recipe, HARMFULQA, parse_hardware("h100")))
    (said,) = (line for line in plan_lines(alone, recipe.model_dump(mode="json")) if "NOT fit" in line)
    assert "h100 has 80 GB: training.optimizer = adamw-8bit fits in 69 GB" in said
    plan = as_dict(planned(recipe, HARMFULQA, parse_hardware("h100x8")))
    page = "\n".join(plan_lines(plan, recipe.model_dump(mode="json")))
    assert "does NOT fit: training.method = full on 6.7 billion weights needs about 109 GB" in page
    assert "each device of h100x8 has 80 GB: training.gpus = 8 fits in 14 GB" in page
    assert "on h100x8 beside the oracle's replies: an estimate" in page
    assert "not measured" in page


@pytest.mark.parametrize("hardware", ["h100", "h200", "4090"])
@pytest.mark.parametrize("name", [n for n in shipped() if n.startswith("paper-")])
def test_the_papers_recipes_fit_or_say_what_to_change(name: str, hardware: str) -> None:
    """What the plan says is taken at its word: with it, the recipe fits."""
    recipe = load_recipe(name)
    sizes = Sizes(prompts=100, held_out=20, benign=0, held_out_benign=20, shape=shape_of(recipe))
    device = parse_hardware(hardware)
    said = planned(recipe, sizes, device).too_much
    if said is None:
        assert (hardware, "7b" in name) == ("h200", True)
        return
    remedy = said.partition(": ")[2].partition(" fits in ")[0]
    if remedy.startswith("take a device with more memory"):
        larger, _, remedy = remedy.partition("(")[2].partition(")")
        device = parse_hardware(larger)
        remedy = remedy.removeprefix(" and ")
    changes = [x.replace(" = ", "=") for x in remedy.split(", ") if x]
    assert planned(load_recipe(name, changes), sizes, device).too_much is None


def test_a_model_that_no_device_holds_is_said_so() -> None:
    recipe = load_recipe("paper-llama2-13b-harmfulqa", ["model.name=owner/large-70b"])
    shape = shape_of(recipe)
    assert shape is not None
    said = too_much(shape, recipe.training, parse_hardware("h200x8"), rows=16, tokens=900, width=2)
    assert said is not None
    assert "no known device holds it: take a smaller model" in said
    served = too_much(shape, recipe.training, parse_hardware("h200"), rows=0, tokens=900, width=2)
    assert served is not None
    assert "qlora" not in served, "a server is given adapters that were trained on whole weights"


def test_a_host_that_cannot_prove_the_weights_is_said_so() -> None:
    device = Device(name="this card", hardware=KNOWN["h200"], here=True, host=20e9)
    said = too_much(LLAMA, TrainingSection(), device, rows=1, tokens=100, width=2)
    assert said is not None
    assert "the host needs about 28 GB" in said


def test_the_device_here_is_warned_of_before_a_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    recipe = load_recipe("smoke")
    assert not [t for t in warnings_before(recipe, tmp_path) if "memory" in t]
    monkeypatch.setattr(forecasts, "device_at_hand", lambda _: HERE)
    monkeypatch.setattr(forecasts, "shape_of", lambda _: LLAMA)
    (said,) = [t for t in warnings_before(recipe, tmp_path) if "memory" in t]
    assert "will most likely run out of memory" in said
    assert "training.optimizer = adamw-8bit, training.weights = bfloat16 fits in" in said


def test_self_align_says_it_by_the_names_of_its_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecasts, "shape_of", lambda _: LLAMA)
    full = ["engrave.training.method=full"]
    plan = forecast(load_recipe("smoke-self-align", full, kind=SelfAlignRecipe), "l4")
    assert plan["fits"] is False
    assert any("engrave.training.method = lora" in text for text in plan["too_much"])


def test_without_a_gpu_the_host_is_what_is_planned_for() -> None:
    recipe = load_recipe("smoke", ["model.device=cpu"])
    device = device_at_hand(recipe)
    assert device is not None
    assert device.kind == "cpu"
    assert device_at_hand(load_recipe("smoke", ["model.device=cuda"])) is None or device.host
    found = needs(LLAMA, TrainingSection(), device, rows=1, tokens=100, width=4)
    assert found.host > 16 * LLAMA.parameters, "there is no other memory"


def test_harmfulqa_on_7b_takes_less_than_60_gb_of_disk() -> None:
    for more in ([], ["training.method=lora"], ["training.method=lora", "keep_checkpoints=100"]):
        disk = planned(load_recipe("paper-llama2-7b-harmfulqa", more), HARMFULQA).disk_bytes
        assert disk is not None
        assert disk < (60e9 if not more else 20e9), more


@pytest.mark.bombs
@pytest.mark.parametrize("keep", [False, True])
def test_the_plans_disk_is_what_a_run_leaves(keep: bool, tmp_path: Path) -> None:
    changes = [
        "training.method=lora",
        f"training.keep_adapter={str(keep).lower()}",
        "keep_checkpoints=1",
        "stop.iterations=1",
    ]
    recipe = load_recipe("smoke", [*changes, "evaluation.harm_limit=4", "evaluation.over_refusal_limit=4"])
    start(recipe, tmp_path / "run")
    left = sum(p.stat().st_size for p in (tmp_path / "run").rglob("*") if p.is_file())
    assert left == pytest.approx(forecast(recipe)["disk_left_bytes"], rel=0.3)


@pytest.mark.parametrize(
    ("name", "changes", "kept"),
    [
        ("owner/model-7b", ["training.method=lora"], True),
        ("owner/model-7b", ["training.method=qlora"], True),
        ("owner/model-7b", ["training.method=lora", "training.keep_adapter=false"], False),
        ("owner/model-7b", [], False),
        ("organism", ["training.method=lora"], False),
        ("owner/model", ["training.method=lora"], False),
    ],
)
def test_large_models_are_kept_as_adapters(name: str, changes: list[str], kept: bool) -> None:
    recipe = load_recipe("smoke", [f"model.name={name}", *changes])
    assert settled(recipe).keep_adapter is kept


def test_what_a_run_began_with_decides_where_the_size_is_no_longer_known() -> None:
    recipe = load_recipe("smoke", ["model.name=owner/model", "training.method=lora"])
    notes = {"lora keeps adapters": "yes"}
    kept, whole = (trainer(recipe, since=s) for s in (lambda n, v: notes.get(n, v), lambda n, v: v))
    assert kept.fingerprint != whole.fingerprint
    asked = load_recipe(
        "smoke", ["model.name=owner/model", "training.method=lora", "training.keep_adapter=true"]
    )
    assert kept.fingerprint == trainer(asked).fingerprint


def test_an_older_run_keeps_what_it_had() -> None:
    """Its settings say false, and the same command says auto today: the same run, by the same trainer."""
    now = load_recipe("smoke", ["model.name=owner/model-7b", "training.method=lora"])
    old = Recipe.model_validate(now.model_dump(mode="json") | {"training": {"keep_adapter": False}})
    for before in (False, True):
        settings = now.model_dump(mode="json")
        settings["training"]["keep_adapter"] = before
        assert _completed(now.model_dump(mode="json"), settings) == now.model_dump(mode="json")
    assert old.training.settled(7e9).keep_adapter is False
    organism = load_recipe("smoke")
    explicit = load_recipe("smoke", ["training.keep_adapter=false"])
    assert trainer(organism).fingerprint == trainer(explicit).fingerprint


def test_the_latest_and_the_best_measured_stay_on_disk() -> None:
    made = [Checkpoint(path=f"checkpoints/{i}", weights_hash=str(i)) for i in range(5)]
    harm = {made[0].id: 0.5, made[1].id: 0.1, made[2].id: 0.3}
    assert kept_of(made, harm, 1) == [made[4]]
    assert kept_of(made, harm, 2) == [made[4], made[1]]
    assert kept_of(made, harm, 3) == [made[4], made[1], made[3]]
    assert kept_of(made, {}, 2) == [made[4], made[3]]
    assert kept_of(made, {made[4].id: 0.0}, 2) == [made[4], made[3]], "with a gate, the latest is the best"


def test_hardware_that_is_not_known_is_guessed_at() -> None:
    with pytest.raises(RecipeError, match="Did you mean 'h100'"):
        parse_hardware("h1000")
