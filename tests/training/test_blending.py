"""Weights between where a training began and where it ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from iteralign.recipe.training import TrainingSection
from iteralign.records.chat import Message
from iteralign.records.iteralign import Checkpoint, TrainingExample
from tiny_model import make_model, make_tokenizer

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

LESSONS = [
    TrainingExample(messages=(Message("user", q), Message("assistant", "Take a breath.")), source="revision")
    for q in ("What is a hat?", "What is tea?")
]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start")
    tokenizer = make_tokenizer()
    make_model(len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def trained(start: Path, out: Path, **settings: Any) -> Any:
    """The weights that a training leaves, as they are served."""
    from iteralign.engines.hf.host import HFHost
    from iteralign.training.sft import SFT

    given = {"learning_rate": 1e-2, "epochs": 3, "batch_size": 2} | settings
    places = {"locate": lambda c: c.path, "warn": print}
    sft = SFT(TrainingSection(**given), device="cpu", dtype="float32", **places)
    made = sft.finetune(Checkpoint(path=str(start)), LESSONS, out)
    with HFHost(device="cpu", dtype="float32", **places).serve(made) as policy:
        return {n: p.detach().clone() for n, p in policy.weights()[0].named_parameters()}


@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_weights_stop_at_the_share_of_their_way(start: Path, tmp_path: Path, method: str) -> None:
    from transformers import AutoModelForCausalLM

    began = dict(AutoModelForCausalLM.from_pretrained(start, dtype=torch.float32).named_parameters())
    whole = trained(start, tmp_path / "whole", method=method)
    part = trained(start, tmp_path / "part", method=method, blend=0.25)
    moved = 0.0
    for name, old in began.items():
        expected = torch.lerp(old, whole[name], 0.25)
        assert torch.allclose(part[name], expected, atol=1e-6), name
        moved = max(moved, float((whole[name] - old).detach().abs().max()))
    assert moved > 1e-3


def test_a_kept_adapter_that_goes_on_is_blended_with_what_it_was(start: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    file = "adapter_model.safetensors"
    kept = {"method": "lora", "keep_adapter": True}
    trained(start, tmp_path / "first", **kept)
    trained(tmp_path / "first", tmp_path / "whole", **kept)
    trained(tmp_path / "first", tmp_path / "part", blend=0.5, **kept)
    first, whole, part = (load_file(tmp_path / n / file) for n in ("first", "whole", "part"))
    assert any(not torch.equal(first[n], whole[n]) for n in first)
    for name in first:
        assert torch.allclose(part[name], torch.lerp(first[name], whole[name], 0.5), atol=1e-6), name


def test_what_was_trained_without_a_blend_is_known_as_before() -> None:
    from iteralign.training.sft import SFT

    def known_as(**settings: Any) -> str:
        return SFT(TrainingSection(**settings), device="cpu", locate=lambda c: c.path).fingerprint

    assert known_as() == known_as(blend=None)
    assert known_as() != known_as(blend=0.5)
