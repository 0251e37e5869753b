"""What a model's config says of its layers.

That is whether every token sees all before it, and whether some layers keep a state instead of keys and
values. Knows configs of transformers, not tensors.
"""

from __future__ import annotations

from typing import Any

_WINDOWS = ("attention_chunk_size", "local_attention", "attention_window")
_RECURRENT = (
    "mamba",
    "ssm",
    "rwkv",
    "linear_attn",
    "conv_l_cache",
    "block_types",
    "layers_block_type",
    "attn_layer_indices",
    "recurrent",
)


def all_full(config: Any) -> bool:
    """Whether all layers are full attention, so that a mask of one's own says all that a token may see."""
    text = config.get_text_config()
    kinds = getattr(text, "layer_types", None)
    if kinds:
        return set(kinds) == {"full_attention"} and not recurrent(config)
    window = getattr(text, "sliding_window", None)
    if window and getattr(text, "use_sliding_window", True):
        return False
    by_layer = getattr(text, "attention_types", None) or ()  # GPT-Neo's
    if any(kind != "global" for kinds, _ in by_layer for kind in kinds):
        return False
    return not any(getattr(text, name, None) for name in _WINDOWS) and not recurrent(config)


def recurrent(config: Any) -> bool:
    """Whether some layers keep a state that grows with each token (Mamba, linear attention, convolutions)."""
    text = config.get_text_config()
    kinds = getattr(text, "layer_types", None) or ()
    if any(not str(kind).endswith("attention") or "linear" in str(kind) for kind in kinds):
        return True
    return any(
        name.lower().startswith(_RECURRENT)
        for name, value in vars(text).items()
        if value not in (None, False)
    )
