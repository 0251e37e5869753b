"""A base in bfloat16 stays so: neither an adapter that is saved nor its proof widens it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_sft import ADAPTER, GREEDY, LESSONS, trainer

from iteralign.engines.hf.host import HFHost
from iteralign.engines.probe import computing_widely, probe_total
from iteralign.engines.weights import load
from iteralign.records.iteralign import Checkpoint

torch = pytest.importorskip("torch")
pytest.importorskip("trl")


@pytest.fixture(scope="module")
def narrow(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path_factory.mktemp("narrow")
    AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny).save_pretrained(folder)
    return folder


def loaded(folder: Path, precision: str) -> tuple[Any, Any]:
    return load(str(folder), device="cpu", precision=precision, template=None, warn=print)


def test_saving_an_adapter_never_holds_its_base_in_float32(
    narrow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the load to the proof; of the tensors that are made, by their bytes."""
    from iteralign.engines import weights

    precisions = []
    original = weights._model
    monkeypatch.setattr(weights, "_model", lambda *a: (precisions.append(a[1]), original(*a))[1])
    trainer(**ADAPTER, dtype="bfloat16").finetune(Checkpoint(path=str(narrow)), LESSONS, tmp_path / "out")
    assert precisions == ["bfloat16", "bfloat16"], "once to train, once to prove"
    written = json.loads((tmp_path / "out" / "probe.json").read_text())
    base = {n: set(kinds) for n, kinds in written["tensors"].items() if "base_layer" in n}
    assert base
    assert set(map(frozenset, base.values())) == {frozenset({"bfloat16"})}
    assert set(written["logprob"]) == {"float32", "bfloat16"}
    for dtype in ("float32", "bfloat16"):
        host = HFHost(locate=lambda c: c.path, warn=print, device="cpu", dtype=dtype)
        with host.serve(Checkpoint(path=str(tmp_path / "out"))) as policy:
            policy.generate([LESSONS[0].messages[:-1]], GREEDY)


def test_a_narrow_model_computes_as_a_wide_one_layer_by_layer(narrow: Path) -> None:
    model, tokenizer = loaded(narrow, "bfloat16")
    wide, _ = loaded(narrow, "float32")
    own = probe_total(model, tokenizer)
    before = [(p.dtype, p.data_ptr()) for p in model.parameters()]
    widened = []

    def look(unit: Any, *rest: Any) -> None:
        inside = {id(p) for p in unit.parameters()}
        widened.append([id(p) in inside for p in model.parameters() if p.dtype is torch.float32])

    with computing_widely(model):
        for layer in model.model.layers:
            layer.register_forward_pre_hook(look)
        assert probe_total(model, tokenizer) == pytest.approx(probe_total(wide, tokenizer), abs=1e-3)
    assert own != pytest.approx(probe_total(wide, tokenizer), abs=1e-3)
    assert len(widened) == 2
    assert all(w and all(w) for w in widened), "the layer that computes is wide, and none else"
    assert [(p.dtype, p.data_ptr()) for p in model.parameters()] == before
