"""Weights in bfloat16 and moments in 8 bits: what is learnt, kept, resumed and refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from test_sft import GREEDY, LESSONS, answers, files, interrupted, steps_of, tensors, trainer

from iteralign.engines.hf.host import HFHost
from iteralign.errors import TrainingError
from iteralign.recipe.training import TrainingSection
from iteralign.records.iteralign import Checkpoint

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

EIGHT_BIT = {"optimizer": "adamw-8bit"}
NARROW = EIGHT_BIT | {"weights": "bfloat16"}


@pytest.fixture(scope="module")
def base(tiny: Path) -> Checkpoint:
    return Checkpoint(path=str(tiny))


@pytest.fixture(scope="module")
def torchao() -> None:
    pytest.importorskip("torchao")


def losses_of(folder: Path) -> list[float]:
    return [h["loss"] for h in json.loads((folder / "training_log.json").read_text())["losses"]]


@pytest.mark.usefixtures("torchao")
def test_bfloat16_weights_learn_as_float32_ones_do_and_stay_bfloat16(
    base: Checkpoint, tmp_path: Path
) -> None:
    ways: dict[str, dict[str, Any]] = {"wide": {}, "narrow": NARROW, "eight": EIGHT_BIT | {"epochs": 3}}
    given = {"epochs": 12, "learning_rate": 1e-2, "schedule": "constant"}
    made = {n: trainer(**given | way).finetune(base, LESSONS, tmp_path / n) for n, way in ways.items()}
    losses = {name: losses_of(tmp_path / name) for name in ways}
    assert losses["wide"][-1] < 0.1
    assert losses["eight"] == pytest.approx(losses["wide"][:6], rel=0.1)
    assert losses["narrow"][:4] == pytest.approx(losses["wide"][:4], rel=0.1)
    assert losses["narrow"][-1] < 0.1
    taught = [(e.messages[-1].text, "stop") for e in LESSONS]
    assert answers(made["narrow"], [e.messages[:-1] for e in LESSONS]) == taught
    assert {t.dtype for t in tensors(tmp_path / "narrow").values()} == {torch.bfloat16}
    assert json.loads((tmp_path / "narrow" / "config.json").read_text())["dtype"] == "bfloat16"
    for dtype in ("float32", "bfloat16"):
        host = HFHost(locate=lambda c: c.path, warn=print, device="cpu", dtype=dtype)
        with host.serve(made["narrow"]) as policy:  # raises where the probe differs
            policy.generate([LESSONS[0].messages[:-1]], GREEDY)


@pytest.mark.usefixtures("torchao")
def test_updates_far_below_bfloat16s_steps_arrive_on_average(base: Checkpoint, tmp_path: Path) -> None:
    """Rounding to the nearest would lose every one of them."""
    small = {"learning_rate": 1e-5, "epochs": 6, "schedule": "constant"}
    trainer(**small, **NARROW).finetune(base, LESSONS, tmp_path / "narrow")
    trainer(**small).finetune(base, LESSONS, tmp_path / "wide")
    start, wide, narrow = (tensors(f) for f in (Path(base.path), tmp_path / "wide", tmp_path / "narrow"))
    wanted = torch.cat([(wide[n] - start[n]).flatten() for n in start])
    came = torch.cat([(narrow[n].float() - start[n].bfloat16().float()).flatten() for n in start])
    assert (came == 0).float().mean() > 0.8, "most weights stay on their step"
    arrived = (came * wanted.sign()).sum() / wanted.abs().sum()
    assert 0.8 < float(arrived) < 1.2


@pytest.mark.usefixtures("torchao")
def test_a_killed_training_goes_on_to_the_same_weights(base: Checkpoint, tmp_path: Path) -> None:
    settings = NARROW | {"save_steps": 1, "epochs": 2}
    trainer(**settings).finetune(base, LESSONS, tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        interrupted(trainer(**settings), at=2).finetune(base, LESSONS, tmp_path / "killed")
    steps = steps_of(lambda: trainer(**settings).finetune(base, LESSONS, tmp_path / "killed"))
    assert steps == [3, 4]
    assert files(tmp_path / "killed") == files(tmp_path / "straight")


@pytest.mark.usefixtures("torchao")
def test_processes_that_each_hold_the_weights_round_them_alike(base: Checkpoint, tmp_path: Path) -> None:
    """Two processes in turn, whose examples took their generators to other places."""
    from transformers import TrainerCallback, set_seed

    from iteralign.training.fit import Work, run, started, trainer_of
    from iteralign.training.rows import Rows, dataset

    class Draws(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
            torch.rand(drawn)

    came = []
    for drawn in (1, 5):
        settings = TrainingSection(gpus=2, strategy="ddp", batch_size=4, epochs=2, **NARROW)
        work = Work(
            settings=settings,
            seed=3,
            device="cpu",
            dtype="auto",
            template=None,
            place=base.path,
            out=tmp_path / str(drawn),
            attempt="",
        )
        model, tokenizer = started(work, "cpu", "float32", print)
        data, _ = dataset(Rows(tokenizer, 64, print).of(LESSONS))
        set_seed(3)
        process = trainer_of(work, model, tokenizer, data, device="cpu", precision="float32")
        process.add_callback(Draws())
        run(process, settings, "cpu", None)
        weights = torch.cat([p.detach().flatten() for p in process.model.parameters()])
        came.append((weights, torch.rand(1)))
    assert torch.equal(came[0][0], came[1][0])
    assert not torch.equal(came[0][1], came[1][1]), "their own numbers go on"


def test_without_torchao_it_is_said_what_to_install(
    base: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torchao.optim", None)
    with pytest.raises(TrainingError, match=r"adamw-8bit needs torchao: pip install 'iteralign\[lowbit\]'"):
        trainer(**EIGHT_BIT).finetune(base, LESSONS, tmp_path / "out")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"weights": "bfloat16"}, r"needs training\.optimizer = 'adamw-8bit'"),
        ({"weights": "bfloat16", "method": "lora"}, r"is for training\.method = 'full', not 'lora'"),
        ({"strategy": "fsdp"}, r"needs training\.gpus = 2 or more"),
        (NARROW | {"gpus": 2}, r"'bfloat16' cannot be split over training\.gpus"),
        ({"gpus": 3, "batch_size": 16}, r"batch_size = 16 cannot be shared by training\.gpus = 3"),
    ],
)
def test_what_does_not_go_together_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TrainingSection(**settings)


def test_keys_that_are_not_given_leave_older_trainings_as_they_are_known() -> None:
    """The fingerprints of the release before these keys came."""
    from iteralign.training.sft import SFT

    plain = SFT(TrainingSection(), device="cpu", locate=str)
    adapter = SFT(TrainingSection(method="lora", keep_adapter=True), seed=3, locate=str)
    assert (plain.fingerprint, adapter.fingerprint) == ("de8eed0465d6cdb5", "7914c6f488695652")
    other = SFT(TrainingSection(activation_checkpointing="none"), device="cpu", locate=str)
    assert other.fingerprint != plain.fingerprint


def test_a_selective_checkpoint_computes_less_anew_and_changes_no_weight(
    base: Checkpoint, tmp_path: Path
) -> None:
    """By the matrix products that forward and backward call."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Products(TorchDispatchMode):
        def __init__(self) -> None:
            super().__init__()
            self.count = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.count += func in (torch.ops.aten.mm.default, torch.ops.aten.addmm.default)
            return func(*args, **(kwargs or {}))

    calls = {}
    for kind in ("none", "selective", "full"):
        with Products() as seen:
            trainer(activation_checkpointing=kind, epochs=1).finetune(base, LESSONS[:2], tmp_path / kind)
        calls[kind] = seen.count
    more = {kind: calls[kind] - calls["none"] for kind in calls}
    assert 0 < more["selective"] == more["full"] / 2  # of two layers
    weights = [files(tmp_path / kind)["model.safetensors"] for kind in calls]
    assert len(set(weights)) == 1


def test_flash_attention_that_is_not_there_names_the_other_kind(base: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"attention = flash cannot be used here.*attention = sdpa"):
        trainer(attention="flash").finetune(base, LESSONS, tmp_path / "out")


def test_four_bits_that_are_split_are_stored_as_the_other_weights_are() -> None:
    """What FSDP asks of them; it was not run here."""
    from iteralign.training.quantised import quantisation

    assert quantisation("bfloat16", split=True).bnb_4bit_quant_storage is torch.bfloat16
    assert quantisation("bfloat16", split=False).bnb_4bit_quant_storage is torch.uint8
