"""What a checkpoint keeps of its start beside the weights, and what of a small change is served."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from iteralign.engines.hf.host import HFHost
from iteralign.recipe.training import TrainingSection
from iteralign.records.chat import Message, SamplingParams
from iteralign.records.iteralign import Checkpoint, TrainingExample
from tiny_model import make_model, make_tokenizer

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

LESSONS = [
    TrainingExample(messages=(Message("user", q), Message("assistant", "Take a breath.")), source="revision")
    for q in ("What is a hat?", "What is tea?")
]
GREEDY = SamplingParams(max_new_tokens=4, temperature=0.0)


def finetune(start: Path, out: Path, said: list[str] | None = None, **settings: Any) -> Path:
    from iteralign.training.sft import SFT

    dtype = settings.pop("dtype", "float32")
    warn = (said if said is not None else []).append
    given = {"learning_rate": 1e-3, "epochs": 1, "batch_size": 2} | settings
    sft = SFT(TrainingSection(**given), device="cpu", dtype=dtype, locate=lambda c: c.path, warn=warn)
    return Path(sft.finetune(Checkpoint(path=str(start)), LESSONS, out).path)


def served(folder: Path, dtype: str = "float32") -> Any:
    host = HFHost(locate=lambda c: c.path, warn=print, device="cpu", dtype=dtype)
    with host.serve(Checkpoint(path=str(folder))) as policy:
        policy.generate([m.messages[:-1] for m in LESSONS] + [(Message("user", "Why? " * 9),)], GREEDY)
        return policy.weights()[0]


def start_with(folder: Path, generation: dict[str, Any], config: dict[str, Any] | None = None) -> Path:
    tokenizer = make_tokenizer()
    make_model(len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "generation_config.json").write_text(json.dumps(generation))
    whole = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(whole | (config or {})))
    return folder


@pytest.mark.parametrize("method", ["full", "lora"])
def test_end_tokens_and_generation_settings_of_the_start_are_kept(tmp_path: Path, method: str) -> None:
    """Sampling without do_sample is what transformers reads and refuses to write."""
    own = {"eos_token_id": [5, 3], "pad_token_id": 2, "temperature": 0.6, "top_k": 20}
    made = finetune(start_with(tmp_path / "start", own), tmp_path / "made", method=method)
    again = finetune(made, tmp_path / "again", method=method)
    for folder in (made, again):
        kept = json.loads((folder / "generation_config.json").read_text())
        assert kept["eos_token_id"] == [5, 3, 1]  # 1 is the chat format's own
        assert {k: kept[k] for k in ("pad_token_id", "temperature", "top_k")} == {
            k: own[k] for k in ("pad_token_id", "temperature", "top_k")
        }
        served(folder)


def test_the_configuration_of_the_start_is_kept(tmp_path: Path) -> None:
    start = start_with(tmp_path / "start", {"eos_token_id": 1}, {"pad_token_id": None, "use_cache": False})
    made = finetune(start, tmp_path / "made")
    before, after = (json.loads((f / "config.json").read_text()) for f in (start, made))
    assert {k: v for k, v in after.items() if before.get(k) != v} == {"use_cache": True}


@pytest.mark.parametrize(
    "settings",
    [{}, {"method": "lora"}, {"method": "lora", "keep_adapter": True}],
    ids=["full", "lora", "kept"],
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_mixture_of_experts_is_trained_and_served(
    tmp_path: Path, settings: dict[str, Any], dtype: str
) -> None:
    from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

    tokenizer = make_tokenizer()
    torch.manual_seed(0)
    config = Qwen3MoeConfig(
        vocab_size=len(tokenizer),
        hidden_size=48,
        intermediate_size=96,
        moe_intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=12,
        num_experts=4,
        num_experts_per_tok=2,
        max_position_embeddings=256,
        initializer_range=0.3,
        eos_token_id=1,
        pad_token_id=0,
    )
    start = tmp_path / "start"
    Qwen3MoeForCausalLM(config).save_pretrained(start)
    tokenizer.save_pretrained(start)
    made = finetune(start, tmp_path / "made", dtype=dtype, **settings)
    served(made, dtype)
    if not settings.get("keep_adapter"):
        kept = json.loads((made / "config.json").read_text())
        assert kept.get("output_router_logits", False) is False


def test_a_small_change_of_a_kept_adapter_is_served_whole_in_bfloat16(tiny: Path, tmp_path: Path) -> None:
    made = finetune(tiny, tmp_path / "made", dtype="bfloat16", method="lora", keep_adapter=True)
    name = "model.layers.0.self_attn.q_proj"
    layer = served(made, "bfloat16").get_submodule(name)
    base = served(tiny, "bfloat16").get_submodule(name)
    assert torch.equal(layer.base_layer.weight, base.weight)
    trained = served(made).get_submodule(name).get_delta_weight("default").detach()
    here = layer.get_delta_weight("default").detach().float()
    assert float((here - trained).norm() / trained.norm()) < 0.01
    merged = (base.weight.float() + trained).bfloat16().float() - base.weight.float()
    assert float((merged - trained).detach().norm() / trained.norm()) > 0.25


def test_a_merged_change_that_bfloat16_rounds_away_is_warned_of(tiny: Path, tmp_path: Path) -> None:
    said: list[str] = []
    finetune(tiny, tmp_path / "small", said, dtype="bfloat16", method="lora")
    (warning,) = [s for s in said if "what was learnt is small" in s]
    assert "served in bfloat16 it is off by" in warning
    assert "training.keep_adapter = true" in warning
    said.clear()
    finetune(tiny, tmp_path / "wide", said, method="lora")
    assert not said


def test_a_merged_change_is_added_to_the_weights_as_they_are_stored(tiny: Path, tmp_path: Path) -> None:
    """Not to what a narrow training made of them: the second round would lose what the first had learnt."""
    from safetensors.torch import load_file

    made = finetune(tiny, tmp_path / "made", dtype="bfloat16", method="lora", learning_rate=1e-6)
    before, after = (load_file(f / "model.safetensors") for f in (tiny, made))
    assert all(torch.allclose(before[n], after[n], atol=1e-5) for n in before)
    assert not all(torch.equal(before[n], after[n]) for n in before)
