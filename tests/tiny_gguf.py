"""A tiny random Llama as a GGUF file, written as llama.cpp's converter does, and the model in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tiny_model import CORPUS, TEMPLATE

SPECIALS = ["<|endoftext|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|pad|>"]
NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "post_attention_layernorm": "ffn_norm",
    "input_layernorm": "attn_norm",
    "model.layers": "blk",
}
CONTROL = 3


def make_tokenizer() -> Any:
    """Byte-level BPE that splits digits apart first, as SmolLM2's does."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=SPECIALS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def make_model(vocabulary: int) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=64,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=256,
            rope_theta=5000.0,
            tie_word_embeddings=False,
            initializer_range=0.3,
        )
    ).eval()


def write(file: Path, model: Any, tokenizer: Any, *, quantised: bool = False, **changed: Any) -> Path:
    """Write the file. ``changed``: keys of the header, with ``__`` for a dot; None leaves one away."""
    import json

    import gguf

    config = model.config
    writer = gguf.GGUFWriter(file, "llama")
    told = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(told["vocab"], key=told["vocab"].get)
    header: dict[str, tuple[Any, Any]] = {
        "llama.block_count": (writer.add_uint32, config.num_hidden_layers),
        "llama.context_length": (writer.add_uint32, config.max_position_embeddings),
        "llama.embedding_length": (writer.add_uint32, config.hidden_size),
        "llama.feed_forward_length": (writer.add_uint32, config.intermediate_size),
        "llama.attention.head_count": (writer.add_uint32, config.num_attention_heads),
        "llama.attention.head_count_kv": (writer.add_uint32, config.num_key_value_heads),
        "llama.attention.layer_norm_rms_epsilon": (writer.add_float32, config.rms_norm_eps),
        "llama.rope.freq_base": (writer.add_float32, 5000.0),
        "llama.rope.dimension_count": (writer.add_uint32, config.hidden_size // 4),
        "llama.vocab_size": (writer.add_uint32, config.vocab_size),
        "tokenizer.ggml.model": (writer.add_string, "gpt2"),
        "tokenizer.ggml.pre": (writer.add_string, "smollm"),
        "tokenizer.ggml.tokens": (writer.add_array, tokens),
        "tokenizer.ggml.token_type": (writer.add_array, [CONTROL if t in SPECIALS else 1 for t in tokens]),
        "tokenizer.ggml.merges": (writer.add_array, [" ".join(m) for m in told["merges"]]),
        "tokenizer.ggml.bos_token_id": (writer.add_uint32, tokens.index("<|endoftext|>")),
        "tokenizer.ggml.eos_token_id": (writer.add_uint32, tokens.index("<|endoftext|>")),
        "tokenizer.ggml.eot_token_id": (writer.add_uint32, tokens.index("<|end|>")),
        "tokenizer.ggml.padding_token_id": (writer.add_uint32, tokens.index("<|pad|>")),
        "tokenizer.ggml.unknown_token_id": (writer.add_uint32, tokens.index("<|endoftext|>")),
        "tokenizer.chat_template": (writer.add_string, TEMPLATE),
    }
    changes = {key.replace("__", "."): value for key, value in changed.items()}
    for key, (add, value) in header.items():
        if (value := changes.get(key, value)) is not None:
            add(key, value)
    for key in changes.keys() - header.keys():
        writer.add_uint32(key, changes[key])
    for name, weight in model.state_dict().items():
        data = _permuted(name, weight.numpy(), config)
        for theirs, ours in NAMES.items():
            name = name.replace(theirs, ours)
        if quantised and data.ndim == 2:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quants.quantize(data, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _permuted(name: str, data: Any, config: Any) -> Any:
    """llama.cpp turns pairs of neighbours, transformers the two halves of a head."""
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    count = next((n for key, n in heads.items() if key in name), None)
    if count is None:
        return data
    return (
        data.reshape(count, 2, data.shape[0] // count // 2, *data.shape[1:])
        .swapaxes(1, 2)
        .reshape(data.shape)
    )


@pytest.fixture(scope="session")
def original() -> tuple[Any, Any]:
    """The tiny model and its tokenizer, not to be changed."""
    tokenizer = make_tokenizer()
    return make_model(tokenizer.get_vocab_size()), tokenizer


@pytest.fixture(scope="session")
def tiny_gguf(original: tuple[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as a GGUF file in float32; to be read only."""
    return write(tmp_path_factory.mktemp("tiny-gguf") / "tiny.gguf", *original)
