"""A loaded transformers model: one batch of answers, one batch of scores. Knows tensors, not checkpoints.

What the prompts of a batch begin with alike goes through the model once. How a token is drawn is in
``sampling``.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from iteralign.chat.format import end_tokens, opening, stops
from iteralign.chat.rows import answer_of
from iteralign.engines.hf.decoding import Decoder
from iteralign.engines.hf.layers import all_full, recurrent
from iteralign.engines.hf.room import lacks_memory
from iteralign.engines.hf.sampling import Streams, processors
from iteralign.engines.hf.tree import Tree, inputs_of
from iteralign.engines.hf.trial import decoder_apart, tree_apart
from iteralign.engines.hf.watching import DAMAGED, LOOK, texts_of, watch_of
from iteralign.engines.weights import first_line
from iteralign.errors import EngineError
from iteralign.records.chat import Chat, Completion, SamplingParams, Score

SHARED = 128
"""Tokens: where all prompts of a batch begin with so many alike, these go through the model once.

Rules and exemplars, say.
"""


class Loaded:
    """A model with its tokenizer on a device, in eval mode."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        device: str,
        max_context: int | None = None,
        warn: Callable[[str], None] = lambda text: None,
        streams: Streams = "generators",
        recorded: bool = False,
    ) -> None:
        from transformers import GenerationConfig

        self.model = model
        self.tokenizer = tokenizer
        self.device = device
        named = model.generation_config.eos_token_id
        self.ends = end_tokens(tokenizer) | ({named} if isinstance(named, int) else set(named or []))
        # the model's own defaults (a repetition penalty, say) would fill in what ours leaves open
        model.generation_config = GenerationConfig()
        # a training elsewhere may have left it on: its sums over routers take no cache and no batch
        if getattr(model.config.get_text_config(), "output_router_logits", False):
            model.config.get_text_config().output_router_logits = False
        limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        self.context = min(x for x in (max_context, limit, 1 << 30) if x)
        self.parameters = sum(p.numel() for p in model.parameters())
        self.bytes = sum(p.numel() * p.element_size() for p in model.parameters())
        taken = inspect.signature(model.forward).parameters
        self._spellings: dict[int, str] = {}
        self._takes_positions = "position_ids" in taken
        self._takes_keep = "logits_to_keep" in taken
        self._warn = warn
        self._full = all_full(model.config)
        self._streams = streams
        self._proven: bool | None = None if self.shares and self._full else False
        self._decoder: Decoder | None = None
        if recorded and device.startswith("cuda") and self.shares and self._full and self._keeps:
            self._decoder = Decoder(model, tokenizer.pad_token_id, record=True)
        self._decodes = False

    def generate(
        self,
        chats: Sequence[Chat],
        prompts: Sequence[list[int]],
        seeds: Sequence[int],
        params: SamplingParams,
    ) -> list[Completion]:
        """Answers to prompts of token ids, in one batch.

        Raises ``EngineError`` naming a chat whose logits are no numbers.
        """
        watch = watch_of(len(prompts), self.device)

        def steps(width: int) -> list[Any]:
            watch.begin()
            return [watch, *processors(params, seeds, width, self.device, self._streams)]

        answers = self._written(prompts, params.max_new_tokens, steps)
        for chat, bad in zip(chats, watch.bad.tolist(), strict=True):
            if bad:
                self.release()
                raise EngineError(f"logits that are no numbers for the chat {opening(chat)}: {DAMAGED}")
        return [self._completion(row, len(p)) for row, p in zip(answers, prompts, strict=True)]

    def release(self) -> None:
        """Give back what memory batches have left behind, recorded steps as well."""
        if self._decoder is not None:
            self._decoder.free()

    def _written(
        self, prompts: Sequence[list[int]], new: int, steps: Callable[[int], list[Any]]
    ) -> list[list[int]]:
        """Token ids of the answers, by the fastest way that this model takes."""
        shared = self._shared(prompts)
        decoder = self.decoder
        if decoder is not None:
            try:
                return self.decoded(decoder, prompts, shared, new, steps)
            except RuntimeError as error:  # a size that the device's libraries have no plan for, say
                if lacks_memory(error):
                    raise
                self._without(f"a batch of {len(prompts)} failed ({first_line(error)})")
        return self._generated(prompts, shared, new, steps)

    def _without(self, why: str) -> None:
        """Write answers by transformers' own loop from now on."""
        self.release()
        self._decoder = None
        self._warn(f"answers are written without recorded steps, which is slower: {why}")

    def _generated(
        self, prompts: Sequence[list[int]], shared: int, new: int, steps: Callable[[int], list[Any]]
    ) -> list[list[int]]:
        """Token ids by transformers' own loop."""
        import torch
        from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

        ids, mask = self._padded(prompts, shared)
        width = ids.shape[1]
        config = GenerationConfig(
            max_new_tokens=new,
            do_sample=False,
            num_beams=1,
            use_cache=True,
            pad_token_id=self.tokenizer.pad_token_id,
            eos_token_id=sorted(self.ends),
        )
        with torch.inference_mode():
            known = {"past_key_values": self._cache(prompts[0][:shared], len(prompts))} if shared else {}
            out = self.model.generate(
                input_ids=ids,
                attention_mask=mask,
                generation_config=config,
                logits_processor=LogitsProcessorList(steps(width)),
                stopping_criteria=StoppingCriteriaList(
                    [texts_of(width, self._ended)] if stops(self.tokenizer) else []
                ),
                **known,
            )
        return [row[width:].tolist() for row in out]

    def decoded(
        self,
        decoder: Decoder,
        prompts: Sequence[list[int]],
        shared: int,
        new: int,
        steps: Callable[[int], list[Any]],
    ) -> list[list[int]]:
        """Token ids by recorded steps; ``steps``: by the width of the prompts, what is done to logits."""
        import torch
        from transformers import DynamicCache

        def prefill(rows: int, width: int) -> tuple[Any, Any, Any, Any]:
            # rows that only fill up are the shortest prompt once more
            ids, mask = self._padded([*prompts, *[prompts[-1]] * (rows - len(prompts))], shared, width)
            cache = (
                self._cache(prompts[0][:shared], rows) if shared else DynamicCache(config=self.model.config)
            )
            kept = {"logits_to_keep": 1} if self._takes_keep else {}
            logits = self.model(
                input_ids=ids[:, shared:],
                attention_mask=mask,
                position_ids=(mask.cumsum(-1) - 1).clamp(min=0)[:, shared:],
                past_key_values=cache,
                use_cache=True,
                **kept,
            ).logits[:, -1]
            return ids, mask, cache, logits

        ended = self._ended if stops(self.tokenizer) else None
        with torch.inference_mode():
            longest = max(map(len, prompts))
            return decoder.decode(longest, len(prompts), new, prefill, steps, self.ends, ended)

    @property
    def decoder(self) -> Decoder | None:
        """What decodes on a GPU, where it gives what plain scoring gives; tried once, on short prompts."""
        if self._decoder is not None and not self._decodes:
            why = decoder_apart(self, self._decoder)
            self._decodes = True  # not before: a trial that memory cut short is made again
            if why:
                self._without(why)
        return self._decoder

    def _shared(self, prompts: Sequence[list[int]]) -> int:
        """How many tokens all prompts begin with alike.

        0 where it is not worth it, or the model keeps no cache of keys and values. What is behind them is
        padded on its left, and a layer with a window counts that padding: there only prompts of one length
        share.
        """
        # what the first and the last in order have in common, all between them have
        first = min(prompts)
        last = max(prompts)
        alike = next(
            (i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b),
            min(len(first), len(last)),
        )
        alike = min(alike, min(map(len, prompts)) - 1)
        level = len({len(p) for p in prompts}) == 1
        worth = len(prompts) > 1 and alike >= SHARED and (level or self._full)
        return alike if worth and self.shares and self._keeps else 0

    @property
    def _keeps(self) -> bool:
        """Whether the model keeps a cache of keys and values."""
        return not recurrent(self.model.config) and self.model._supports_default_dynamic_cache()

    def _cache(self, prefix: list[int], rows: int) -> Any:
        """Keys and values of a prefix, for so many rows."""
        import torch
        from transformers import DynamicCache

        cache = DynamicCache(config=self.model.config)
        self.model(
            input_ids=torch.tensor([prefix], device=self.device),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        cache.batch_repeat_interleave(rows)
        return cache

    @property
    def shares(self) -> bool:
        """Whether tokens can be given places of their own, and attention a mask.

        Sharing of any kind needs both.
        """
        return self._takes_positions and getattr(self.model.config, "_attn_implementation", "") in (
            "sdpa",
            "eager",
        )

    @property
    def scores_trees(self) -> bool:
        """Whether continuations of one prompt can go through the model as a tree.

        They can where all its layers are full attention (a mask of one's own would do away with a window),
        and a small tree, scored once, gives what plain scoring gives.
        """
        if self._proven is None:
            self._proven = self._prove()
        return self._proven

    def _prove(self) -> bool:
        """Scores a small tree both ways. Where they differ, or the model takes no tree, that is warned of."""
        why = tree_apart(self)
        if why:
            self._warn(
                "candidates of one question are scored one by one, "
                f"for this model cannot score them as one tree: {why}"
            )
        return not why

    def score(self, chats: Sequence[Chat], spans: Sequence[tuple[list[int], int]]) -> list[Score]:
        """Log-probabilities, nats, of each span's tokens from its start on, in one forward pass."""
        import torch

        with torch.inference_mode():
            return [self._scored(*row) for row in zip(chats, spans, self._steps(spans), strict=True)]

    def score_trees(
        self, chats: Sequence[Chat], trees: Sequence[Tree], targets: Sequence[Sequence[list[int]]]
    ) -> list[list[Score]]:
        """The same for many continuations of each chat; ``targets``: their tokens."""
        import torch

        with torch.inference_mode():
            logits = self.model(
                **inputs_of(trees, self.tokenizer.pad_token_id, self.device, self.model.dtype)
            ).logits  # (trees, width, vocabulary)
            return [
                [
                    self._scored(chat, (tokens, 0), row[path])
                    for tokens, path in zip(own, tree.paths, strict=True)
                ]
                for chat, tree, own, row in zip(chats, trees, targets, logits, strict=True)
            ]

    def _scored(self, chat: Chat, span: tuple[list[int], int], logits: Any) -> Score:
        import torch

        wanted = torch.tensor(span[0][span[1] :], dtype=torch.long, device=self.device)
        values = torch.log_softmax(logits.float(), -1).gather(-1, wanted[:, None])[:, 0].tolist()
        if not all(map(math.isfinite, values)):
            raise EngineError(
                f"log-probabilities that are no numbers for the chat {opening(chat)}: {DAMAGED}"
            )
        return Score(tuple(self._spelled(t) for t in wanted.tolist()), tuple(values))

    def _steps(self, spans: Sequence[tuple[list[int], int]]) -> Iterator[Any]:
        """The logits that each span's tokens are drawn from, in one forward pass.

        Padded on the left, so that all continuations end in the last column and only their logits are
        computed.
        """
        ids, mask = self._padded([x for x, _ in spans])
        inputs = {"input_ids": ids, "attention_mask": mask}
        if self._takes_positions:
            inputs["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)
        if self._takes_keep:
            inputs["logits_to_keep"] = max(len(x) - start for x, start in spans) + 1
        logits = self.model(**inputs).logits  # (batch, keep or width, vocabulary)
        for row, (tokens, start) in enumerate(spans):
            yield logits[row, -(len(tokens) - start) - 1 : -1]

    def _spelled(self, token: int) -> str:
        if token not in self._spellings:
            self._spellings[token] = self.tokenizer.decode([token])
        return self._spellings[token]

    def _padded(self, rows: Sequence[list[int]], shared: int = 0, width: int = 0) -> tuple[Any, Any]:
        """Token ids and attention mask, (batch, width), padded on the left, behind what the rows share."""
        import torch

        width = max(width, *map(len, rows))
        pad = self.tokenizer.pad_token_id
        ids = torch.tensor(
            [r[:shared] + [pad] * (width - len(r)) + r[shared:] for r in rows], device=self.device
        )
        mask = torch.tensor(
            [[1] * shared + [0] * (width - len(r)) + [1] * (len(r) - shared) for r in rows],
            device=self.device,
        )
        return ids, mask

    def _ended(self, tokens: list[int]) -> bool:
        """Whether these tokens of an answer hold what ends it."""
        return answer_of(self.tokenizer, tokens, self.ends)[1] == "stop"

    def _completion(self, tokens: list[int], prompt_tokens: int) -> Completion:
        if stops(self.tokenizer):  # up to the look that found its end, whatever the others of its batch did
            tokens = next((t for n in range(LOOK, len(tokens), LOOK) if self._ended(t := tokens[:n])), tokens)
        text, finish, kept = answer_of(self.tokenizer, tokens, self.ends)
        return Completion(text, finish, prompt_tokens, kept)
