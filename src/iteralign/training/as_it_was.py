"""The configurations that a start had, put back before its successor is saved.

A trainer switches things for its own use (caches off, losses of routers on, other special tokens), and what
it leaves was not the user's choice. Knows no weights.
"""

from __future__ import annotations

import copy
from typing import Any

from iteralign.chat.format import end_tokens


class AsItWas:
    """What a model's configurations were when it was loaded."""

    def __init__(self, model: Any) -> None:
        self._config = copy.deepcopy(vars(model.config))
        self._generation = copy.deepcopy(getattr(model, "generation_config", None))

    def restore(self, model: Any, tokenizer: Any) -> None:
        """Give the model its configuration back, with caches on.

        Its generation settings become plain ones, for transformers refuses to write some that it reads:
        ``generation`` writes them.
        """
        from transformers import GenerationConfig

        vars(model.config).clear()
        vars(model.config).update(copy.deepcopy(self._config))
        model.config.use_cache = True
        model.generation_config = GenerationConfig()

    def generation(self, tokenizer: Any) -> str:
        """The start's generation settings as JSON: its end tokens first, then those of the chat format."""
        from transformers import GenerationConfig

        found = copy.deepcopy(self._generation) or GenerationConfig()
        named = found.eos_token_id
        ends = [named] if isinstance(named, int) else list(named or [])
        found.eos_token_id = [*ends, *sorted(end_tokens(tokenizer) - set(ends))]
        if found.pad_token_id is None:
            found.pad_token_id = tokenizer.pad_token_id
        if found.bos_token_id is None:
            found.bos_token_id = tokenizer.bos_token_id
        return str(found.to_json_string(use_diff=True))
