"""Models of real shapes: layers with a window, padding outside the embedding, routers that were left on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from iteralign.engines.hf.host import HFHost
from iteralign.errors import EngineError
from iteralign.records.chat import Message, SamplingParams
from iteralign.records.iteralign import Checkpoint
from tiny_model import make_model, make_tokenizer

torch = pytest.importorskip("torch")

GREEDY = SamplingParams(max_new_tokens=12, temperature=0.0)
SIZE: dict[str, Any] = {
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 12,
    "max_position_embeddings": 1024,
    "initializer_range": 0.3,
    "eos_token_id": 1,
    "pad_token_id": 0,
}


def saved(folder: Path, kind: str, **config: Any) -> Path:
    import transformers

    tokenizer = make_tokenizer()
    torch.manual_seed(0)
    shape = getattr(transformers, f"{kind}Config")(vocab_size=len(tokenizer), **SIZE, **config)
    getattr(transformers, f"{kind}ForCausalLM")(shape).eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def together_and_alone(folder: Path, questions: list[str], begin: str = "") -> tuple[list[str], list[str]]:
    chats = [(Message("user", f"{begin}{q}"),) for q in questions]
    host = HFHost(locate=lambda c: c.path, warn=print, device="cpu")
    with host.serve(Checkpoint(path=str(folder))) as policy:
        together = [c.text for c in policy.generate(chats, GREEDY)]
        return together, [policy.generate([c], GREEDY)[0].text for c in chats]


RULES = "Be brief, be kind, and answer only what was asked. Take a square sheet, and turn it over. " * 8


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("Mistral", {"sliding_window": 32}),
        (
            "Qwen2",
            {
                "use_sliding_window": True,
                "sliding_window": 32,
                "layer_types": ["full_attention", "sliding_attention"],
            },
        ),
        ("Llama", {}),
    ],
)
@pytest.mark.parametrize(
    "questions",
    [
        ["Which river?", "Which river is the longest, and turn it over, and be kind?", "What?"],
        ["a", "b", "c"],
    ],
    ids=["lengths differ", "one length"],
)
def test_a_shared_beginning_changes_no_answer(
    tmp_path: Path, kind: str, config: dict[str, Any], questions: list[str]
) -> None:
    together, alone = together_and_alone(saved(tmp_path / "model", kind, **config), questions, RULES)
    assert together == alone


def test_a_padding_token_without_a_row_in_the_embedding(tmp_path: Path) -> None:
    tokenizer = make_tokenizer()
    model = make_model(len(tokenizer))
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})  # and the model was never resized
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    together, alone = together_and_alone(tmp_path, ["Why?", "Which river is the longest one?"])
    assert together == alone


def test_tokens_of_the_chat_format_without_a_row_in_the_embedding(tmp_path: Path) -> None:
    tokenizer = make_tokenizer()
    make_model(len(tokenizer)).save_pretrained(tmp_path)
    tokenizer.add_special_tokens({"eos_token": "<|stop|>"})
    tokenizer.chat_template = tokenizer.chat_template.replace("<|end|>", "<|stop|>")
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(
        EngineError, match=r"'<\|stop\|>' has the id \d+, and the model's embedding has \d+ rows"
    ):
        together_and_alone(tmp_path, ["Why?"])


def test_a_mixture_whose_routers_losses_were_left_on_answers_batches(tmp_path: Path) -> None:
    folder = saved(
        tmp_path / "model", "Qwen3Moe", num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32
    )
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"output_router_logits": True}))
    together, alone = together_and_alone(folder, ["Why?", "Which river is the longest one?"])
    assert together == alone
