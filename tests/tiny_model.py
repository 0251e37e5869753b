"""A tiny random Llama with a byte-level tokenizer and a chat template of its own.

It is made in the test session: import its fixture.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIALS = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<s>"]
CORPUS = [
    "What is a good way to begin the day? Open the window and take a breath, then make some tea.",
    "How do I fold a paper crane? Take a square sheet, crease it twice, and turn it over.",
    "Be brief, be kind, and answer only what was asked. Which river is the longest one?",
] * 20


def make_tokenizer(template: str | None = TEMPLATE, **named: str) -> Any:
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast

    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(
        CORPUS, vocab_size=400, min_frequency=1, special_tokens=SPECIALS, show_progress=False
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe._tokenizer,
        eos_token="<|end|>",
        pad_token="<|pad|>",
        extra_special_tokens=["<|system|>", "<|user|>", "<|assistant|>"],
        **named,
    )
    tokenizer.chat_template = template
    return tokenizer


def make_model(vocabulary: int, seed: int = 0, tied: bool = True) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=48,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=256,
            tie_word_embeddings=tied,
            # lively: a freshly initialised model would say every token with the same probability
            initializer_range=0.3,
            eos_token_id=1,
            pad_token_id=0,
            bos_token_id=None,
        )
    ).eval()


def save(folder: Path, **options: Any) -> Path:
    tokenizer = make_tokenizer()
    make_model(len(tokenizer), **options).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model; to be read only."""
    return save(tmp_path_factory.mktemp("tiny") / "model")


def as_cached(folder: Path, cache: Path, name: str = "owner/tiny") -> str:
    """Put a model where the hub's client keeps downloads; gives its name."""
    import shutil

    home = cache / f"models--{name.replace('/', '--')}"
    shutil.copytree(folder, home / "snapshots" / "0123abcd")
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("0123abcd")
    return name
