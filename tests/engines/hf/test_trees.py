"""Scoring as a tree: only where every layer sees all before it, and where a model proves it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers as hub

from iteralign.engines.hf.host import HFHost
from iteralign.engines.hf.layers import all_full, recurrent
from iteralign.engines.hf.model import Loaded
from iteralign.records.chat import Message
from iteralign.records.iteralign import Checkpoint
from tiny_model import make_tokenizer

SMALL: dict[str, Any] = {
    "vocab_size": 420,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 256,
    "initializer_range": 0.5,
    "eos_token_id": 1,
    "pad_token_id": 0,
    "bos_token_id": None,
}
CONFIGS: dict[str, tuple[Any, bool]] = {
    "llama": (hub.LlamaConfig(**SMALL), True),
    "mistral": (hub.MistralConfig(**SMALL, sliding_window=None), True),
    "mistral, window": (hub.MistralConfig(**SMALL, sliding_window=4), False),
    "qwen2": (hub.Qwen2Config(**SMALL, use_sliding_window=False, sliding_window=4), True),
    "qwen2, window": (
        hub.Qwen2Config(**SMALL, use_sliding_window=True, sliding_window=4, max_window_layers=0),
        False,
    ),
    "gemma3": (hub.Gemma3TextConfig(**SMALL, head_dim=16, sliding_window=4), False),
}


def loaded_of(config: Any, monkeypatch: pytest.MonkeyPatch, said: list[str]) -> tuple[HFHost, Loaded]:
    torch.manual_seed(0)
    model = hub.AutoModelForCausalLM.from_config(config).eval()
    tokenizer = make_tokenizer()
    host = HFHost(device="cpu", dtype="float32", locate=lambda c: c.path, warn=said.append)
    loaded = Loaded(model, tokenizer, "cpu", None, said.append)
    monkeypatch.setattr(host, "load", lambda checkpoint: loaded)
    return host, loaded


@pytest.mark.parametrize("name", CONFIGS)
def test_candidates_score_in_company_as_alone_whatever_the_layers_see(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, tree = CONFIGS[name]
    said: list[str] = []
    host, loaded = loaded_of(config, monkeypatch, said)
    assert loaded.scores_trees is tree
    chat = (Message("user", "Which river is the longest one, and which one is the shortest?"),)
    candidates = ["the river", "the rivulet and the sea", "none of them"]
    with host.serve(Checkpoint(path="x")) as policy:
        company = policy.logprobs([chat] * 3, candidates)
        alone = [policy.logprobs([chat], [c])[0] for c in candidates]
    for a, b in zip(company, alone, strict=True):
        assert a.logprobs == pytest.approx(b.logprobs, abs=1e-4)
    assert not said, "a model that is known to have windows needs no warning"


def test_layers_that_keep_a_state_share_nothing() -> None:
    hybrid = hub.LlamaConfig(**SMALL)
    hybrid.layer_types = ["linear_attention", "full_attention"]
    neo = hub.GPTNeoConfig(
        vocab_size=64,
        hidden_size=32,
        num_layers=2,
        num_heads=2,
        attention_types=[[["global", "local"], 1]],
        window_size=4,
    )
    chunked = hub.LlamaConfig(**SMALL, attention_chunk_size=8)
    assert (recurrent(hybrid), recurrent(neo), recurrent(chunked), recurrent(hub.MambaConfig())) == (
        True,
        False,
        False,
        True,
    )
    assert not any(map(all_full, (hybrid, neo, chunked, hub.MambaConfig())))
    assert all_full(hub.GPT2Config())


def test_a_model_whose_trees_come_out_otherwise_scores_plainly_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = CONFIGS["mistral, window"][0]
    monkeypatch.setattr(
        "iteralign.engines.hf.model.all_full", lambda config: True
    )  # a config that does not tell its windows
    said: list[str] = []
    _, loaded = loaded_of(config, monkeypatch, said)
    assert not loaded.scores_trees
    assert not loaded.scores_trees
    (text,) = said
    assert text.startswith(
        "candidates of one question are scored one by one, "
        "for this model cannot score them as one tree: its scores differ by"
    )
