"""Tiny models of the guards' architectures, random or taught one reply by heart."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

from guard_templates import tokenizer_of

from iteralign.oracles.guard.families import FAMILIES
from iteralign.oracles.guard.oracle import PROBE

REPLIES = {
    "llama-guard-3": ("unsafe", "\nS2"),
    "llama-guard-4": ("unsafe", "\nS10"),
    "wildguard": ("Harmful request: yes\n", "Response refusal: no\n", "Harmful response: ", "yes"),
    "shieldgemma": ("Yes", ","),
    "granite-guardian": ("Yes",),
    "qwen3guard": ("Safety: ", "Unsafe", "\nCategories: PII", "\nRefusal: No"),
}
"""What each is taught to say, in pieces that its tokenizer takes for one token each."""
_SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "max_position_embeddings": 4096,
    "eos_token_id": 1,
    "pad_token_id": 0,
    "bos_token_id": None,
    "tie_word_embeddings": False,
}


def _model(family: str, vocabulary: int) -> Any:
    import torch
    import transformers as t

    torch.manual_seed(0)
    sizes = {**_SIZES, "vocab_size": vocabulary}
    match family:
        case "llama-guard-3":
            return t.LlamaForCausalLM(t.LlamaConfig(**sizes))
        case "llama-guard-4":
            own = {
                "intermediate_size_mlp": 48,
                "num_local_experts": 1,
                "moe_layers": [],
                "attention_chunk_size": 4096,
            }
            return t.Llama4ForCausalLM(t.Llama4TextConfig(**sizes, **own))
        case "wildguard":
            return t.MistralForCausalLM(t.MistralConfig(**sizes))
        case "shieldgemma":
            return t.Gemma2ForCausalLM(t.Gemma2Config(**sizes))
        case "granite-guardian":
            return t.GraniteForCausalLM(t.GraniteConfig(**sizes))
    return t.Qwen3ForCausalLM(t.Qwen3Config(**sizes))


def save(folder: Path, family: str, *, taught: bool = True) -> Path:
    """A folder with a model of the family; one that is taught gives its reply to any exchange."""
    import torch

    tokenizer = tokenizer_of(family)
    tokenizer.add_tokens(list(REPLIES[family]))
    model = _model(family, len(tokenizer))
    if taught:
        form = FAMILIES[family].form(PROBE, FAMILIES[family].questions[0])
        last = tokenizer(form, add_special_tokens=False)["input_ids"][-1]
        reply = [*tokenizer.convert_tokens_to_ids(list(REPLIES[family])), tokenizer.eos_token_id]
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if "o_proj" in name or "down_proj" in name:
                    weight.zero_()  # so what follows depends on the last token alone
            seen = model.get_input_embeddings().weight
            head = model.get_output_embeddings().weight.zero_()
            for before, after in pairwise([last, *reply]):
                head[after] += 40 * seen[before] / seen[before].norm()
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
