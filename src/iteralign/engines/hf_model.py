"""A loaded transformers model: one batch of answers, one batch of scores. Knows tensors, not checkpoints.

Sampling is the Gumbel-max trick: temperature and top-p first, then noise from each chat's own random stream, then the largest.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Sequence
from typing import Any

from iteralign.chat_format import end_tokens, opening
from iteralign.chat_rows import answer_of
from iteralign.errors import EngineError
from iteralign.records import Chat, Completion, SamplingParams, Score

SMALLEST = 1e-30
"""Exponential noise is kept above it: the logarithm of an exact zero would make a forbidden token NaN."""


class Loaded:
    """A model with its tokenizer on a device, in eval mode."""

    def __init__(self, model: Any, tokenizer: Any, device: str, max_context: int | None = None) -> None:
        from transformers import GenerationConfig

        self.model, self.tokenizer, self.device = model, tokenizer, device
        named = model.generation_config.eos_token_id
        self.ends = end_tokens(tokenizer) | ({named} if isinstance(named, int) else set(named or []))
        model.generation_config = GenerationConfig()  # its defaults (a repetition penalty, say) would fill in what ours leaves open
        limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        self.context = min(x for x in (max_context, limit, 1 << 30) if x)
        self.bytes = sum(p.numel() * p.element_size() for p in model.parameters())
        taken = inspect.signature(model.forward).parameters
        self._spellings: dict[int, str] = {}
        self._takes_positions, self._takes_keep = "position_ids" in taken, "logits_to_keep" in taken

    def generate(self, chats: Sequence[Chat], prompts: Sequence[list[int]], seeds: Sequence[int], params: SamplingParams) -> list[Completion]:
        """Answers to prompts of token ids, in one batch. Raises ``EngineError`` naming a chat whose logits are no numbers."""
        import torch
        from transformers import GenerationConfig, LogitsProcessorList

        ids, mask = self._padded(prompts)
        width = ids.shape[1]
        config = GenerationConfig(
            max_new_tokens=params.max_new_tokens,
            do_sample=False,
            num_beams=1,
            use_cache=True,
            pad_token_id=self.tokenizer.pad_token_id,
            eos_token_id=sorted(self.ends),
        )
        watch = _watch(len(prompts), self.device)
        processors = LogitsProcessorList([watch, *(_sampler(params, seeds, self.device) if params.temperature > 0 else [])])
        with torch.inference_mode():
            out = self.model.generate(input_ids=ids, attention_mask=mask, generation_config=config, logits_processor=processors)
        for chat, bad in zip(chats, watch.bad.tolist(), strict=True):
            if bad:
                raise EngineError(f"logits that are no numbers for the chat {opening(chat)}: {_DAMAGED}")
        return [self._completion(row[width:].tolist(), len(p)) for row, p in zip(out, prompts, strict=True)]

    def score(self, chats: Sequence[Chat], spans: Sequence[tuple[list[int], int]]) -> list[Score]:
        """Log-probabilities, nats, of each span's tokens from its start on. What spans share before their starts is computed once."""
        import torch

        prompts = list(dict.fromkeys(tuple(ids[:start]) for ids, start in spans))
        shares = self._takes_positions and self._takes_keep and len(prompts) < len(spans) and all(prompts)
        with torch.inference_mode():
            steps = self._shared_steps(prompts, spans) if shares else self._steps(spans)
            found = []
            for chat, (tokens, start), logits in zip(chats, spans, steps, strict=True):  # logits: (answer, vocabulary)
                wanted = torch.tensor(tokens[start:], dtype=torch.long, device=self.device)
                values = torch.log_softmax(logits.float(), -1).gather(-1, wanted[:, None])[:, 0].tolist()
                if not all(map(math.isfinite, values)):
                    raise EngineError(f"log-probabilities that are no numbers for the chat {opening(chat)}: {_DAMAGED}")
                found.append(Score(tuple(self._spelled(t) for t in tokens[start:]), tuple(values)))
        return found

    def _steps(self, spans: Sequence[tuple[list[int], int]]) -> Iterator[Any]:
        """The logits that each span's tokens are drawn from, in one forward pass.

        Padded on the left, so that all continuations end in the last column and only their logits are computed.
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

    def _shared_steps(self, prompts: Sequence[tuple[int, ...]], spans: Sequence[tuple[list[int], int]]) -> Iterator[Any]:
        """The same, from one pass over the distinct prompts and one over all continuations with the prompts' keys and values before them."""
        import torch

        ids, mask = self._padded([list(p) for p in prompts])  # (prompts, width)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        seen = self.model(input_ids=ids, attention_mask=mask, position_ids=positions, logits_to_keep=1, use_cache=True)
        first = seen.logits[:, -1]  # (prompts, vocabulary): what the first tokens are drawn from
        number = {p: i for i, p in enumerate(prompts)}
        of = [number[tuple(tokens[:start])] for tokens, start in spans]
        ends = [tokens[start:-1] for tokens, start in spans]  # after the last token nothing is asked
        width = max(map(len, ends))
        rest = None
        if width:
            rows = torch.tensor(of, device=self.device)
            seen.past_key_values.batch_select_indices(rows)
            pad = self.tokenizer.pad_token_id
            more = torch.tensor([e + [pad] * (width - len(e)) for e in ends], device=self.device)
            real = torch.tensor([[1] * len(e) + [0] * (width - len(e)) for e in ends], device=self.device)
            at = mask.sum(-1)[rows][:, None] + torch.arange(width, device=self.device)
            attention = torch.cat([mask[rows], real], dim=-1)
            rest = self.model(input_ids=more, attention_mask=attention, position_ids=at, past_key_values=seen.past_key_values, use_cache=True).logits
        for row, (tokens, start) in enumerate(spans):
            steps = first[of[row]][None]
            count = len(tokens) - start
            yield steps[:count] if count < 2 or rest is None else torch.cat([steps, rest[row, : count - 1]])

    def _spelled(self, token: int) -> str:
        if token not in self._spellings:
            self._spellings[token] = self.tokenizer.decode([token])
        return self._spellings[token]

    def _padded(self, rows: Sequence[list[int]]) -> tuple[Any, Any]:
        """Token ids and attention mask, (batch, width), padded on the left."""
        import torch

        width, pad = max(map(len, rows)), self.tokenizer.pad_token_id
        ids = torch.tensor([[pad] * (width - len(r)) + r for r in rows], device=self.device)
        mask = torch.tensor([[0] * (width - len(r)) + [1] * len(r) for r in rows], device=self.device)
        return ids, mask

    def _completion(self, tokens: list[int], prompt_tokens: int) -> Completion:
        text, finish, kept = answer_of(self.tokenizer, tokens, self.ends)
        return Completion(text, finish, prompt_tokens, kept)


_DAMAGED = "the weights are damaged, or too large for the precision (model.dtype = float32 would tell)"


def _watch(rows: int, device: str) -> Any:
    """Remembers, without waiting for the device, which rows ever had logits that are no numbers."""
    import torch
    from transformers import LogitsProcessor

    class Watch(LogitsProcessor):  # type: ignore[misc]
        bad = torch.zeros(rows, dtype=torch.bool, device=device)

        def __call__(self, input_ids: Any, scores: Any) -> Any:
            self.bad |= torch.isnan(scores).any(-1) | torch.isposinf(scores).any(-1)
            return scores

    return Watch()


def _sampler(params: SamplingParams, seeds: Sequence[int], device: str) -> list[Any]:
    """Temperature, top-p, and Gumbel noise: the largest sum is a draw from the distribution that the first two leave."""
    import torch
    from transformers import LogitsProcessor, TemperatureLogitsWarper, TopPLogitsWarper

    streams = [torch.Generator(device=device).manual_seed(s) for s in seeds]

    class GumbelNoise(LogitsProcessor):  # type: ignore[misc]
        def __call__(self, input_ids: Any, scores: Any) -> Any:
            noise = torch.empty_like(scores, dtype=torch.float32)  # (batch, vocabulary)
            for row, stream in zip(noise, streams, strict=True):
                row.exponential_(generator=stream)
            return scores.float() - noise.clamp_(min=SMALLEST).log()

    warpers: list[Any] = [] if params.temperature == 1.0 else [TemperatureLogitsWarper(float(params.temperature))]
    return [*warpers, *([] if params.top_p >= 1.0 else [TopPLogitsWarper(float(params.top_p))]), GumbelNoise()]
