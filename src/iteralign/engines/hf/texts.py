"""Continues texts with transformers, for models that are asked in a form of their own (guards).

Unlike a policy's chats, the texts are whole: they hold their own control tokens, and the tokenizer adds none.
Greedy, and tells what else was likely at each token. Knows nothing of what the texts are for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from iteralign.chat.format import SETTINGS, stopped
from iteralign.chat.template_guard import Refused, render
from iteralign.engines.hf.host import sweep, unless_out_of_memory
from iteralign.engines.hf.room import Room
from iteralign.engines.turns import loading_bytes, take
from iteralign.engines.weights import (
    bare_model,
    bare_tokenizer,
    base_of,
    folder_of,
    pick_device,
    pick_dtype,
)
from iteralign.errors import EngineError, PromptTooLong, RefusedByTemplate
from iteralign.records.chat import Chat, Continuation
from iteralign.text.printable import one_line

LIKELY = 20
"""Alternatives that are told of a token, as servers do."""


class TextHost:
    """``protocols.Continuing`` over a model folder or hub name, loaded at the first text.

    ``batch_size``: texts at once, fewer where memory does not suffice. A large model gives its memory back
    when another one is loaded.
    """

    def __init__(
        self,
        place: str,
        *,
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int = 64,
        warn: Callable[[str], None],
    ) -> None:
        self._place = place
        self._device = device
        self._dtype = dtype
        self._batch_size = batch_size
        self._room = Room()
        self._warn = warn
        self._model: Any = None
        self._tokenizer: Any = None

    def held(self) -> int:
        """Bytes of its weights that are loaded."""
        return (
            0 if self._model is None else sum(p.numel() * p.element_size() for p in self._model.parameters())
        )

    def free(self) -> None:
        """Give the memory back."""
        if self._model is not None:
            self._model = None
            sweep()

    def template(self) -> str | None:
        """The tokenizer's own chat template."""
        found = self.tokenizer.chat_template
        return found if isinstance(found, str) else None

    def written(self, chat: Chat, settings: Mapping[str, Any]) -> str:
        """The chat as the tokenizer's template writes it.

        Templates of models that also read images take a turn in parts: they are asked so where one leaves a
        plain text out. Raises ``RefusedByTemplate``.
        """
        plain = [{"role": m.role, "content": m.text} for m in chat]
        parts = [{"role": m.role, "content": [{"type": "text", "text": m.text}]} for m in chat]
        why = ""
        for turns in (plain, parts):
            try:
                text = self._rendered(turns, settings)
            except Refused as error:
                why = why or str(error)
                continue
            if all(m.text.strip() in text for m in chat):
                return text
        raise RefusedByTemplate(
            f"the chat template of {self._place!r} does not write the texts that are to be judged: "
            f"{one_line(why or 'it leaves them out', 200)}"
        )

    def _rendered(self, turns: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> str:
        template = stopped(self.template() or "")
        known = {**self.tokenizer.special_tokens_map, **SETTINGS, "excluded_category_keys": [], **settings}
        return render(template, turns, {**known, "add_generation_prompt": True}, frozenset())

    @property
    def tokenizer(self) -> Any:
        """As it is in the folder, without a chat format of ours."""
        if self._tokenizer is None:
            self._tokenizer = bare_tokenizer(self._place, self._warn)
        return self._tokenizer

    def continued(self, texts: Sequence[str], limit: int) -> list[Continuation | EngineError]:
        """The greedy continuation of each text, in order; ``PromptTooLong`` for one that does not fit."""
        model = self._loaded()
        rows = [self.tokenizer(t, add_special_tokens=False)["input_ids"] for t in texts]
        room = getattr(model.config.get_text_config(), "max_position_embeddings", None) or 1 << 30
        found: dict[int, Continuation | EngineError] = {
            i: PromptTooLong(f"the text to judge has {len(r)} tokens, and the judge reads {room - limit}")
            for i, r in enumerate(rows)
            if len(r) + limit > room
        }
        order = sorted((i for i in range(len(rows)) if i not in found), key=lambda i: (-len(rows[i]), i))
        while order:
            length = len(rows[order[0]]) + limit
            batch = order[: self._room.rows(length, self._batch_size)]
            done = unless_out_of_memory(lambda b: self._batch([rows[i] for i in b], limit), batch)
            if done is None:
                sweep()
                if take(self):  # another model's room comes first
                    continue
                if len(batch) == 1:
                    raise EngineError(
                        f"out of memory with a single text for {self._place!r}: take a smaller judge, or "
                        "oracle.dtype = bfloat16"
                    )
                fewer = self._room.fell_short(len(batch), length)
                self._warn(
                    f"out of memory with {len(batch)} texts of up to {length} tokens to judge: going on with "
                    f"{fewer} of such texts, and with more where they are shorter"
                )
                continue
            self._room.fitted(len(batch), length)
            found.update(zip(batch, done, strict=True))
            order = order[len(batch) :]
        return [found[i] for i in range(len(rows))]

    def _loaded(self) -> Any:
        if self._model is None:
            device = pick_device(self._device)
            precision = pick_dtype(self._dtype, device)
            place = self._place
            take(
                self,
                lambda: loading_bytes(folder_of(base_of(place) or place, self._warn), precision),
                device=device,
            )
            self._model = bare_model(self._place, device, precision, self._warn)
            largest = max(self.tokenizer.get_vocab().values(), default=0)
            rows = self._model.get_input_embeddings().weight.shape[0]
            if self.tokenizer.pad_token_id is None or self.tokenizer.pad_token_id >= rows:
                self.tokenizer.pad_token = self.tokenizer.eos_token
            if largest >= rows + 1024:  # a few more are left unused in some
                raise EngineError(f"{self._place}: tokenizer and model do not belong together")
        return self._model

    def _batch(self, rows: Sequence[list[int]], limit: int) -> list[Continuation]:
        import torch
        from transformers import GenerationConfig, LogitsProcessorList

        model = self._model
        named = model.generation_config.eos_token_id
        ends = {self.tokenizer.eos_token_id, *([named] if isinstance(named, int) else named or [])} - {None}
        pad = self.tokenizer.pad_token_id or 0
        width = max(map(len, rows))
        ids = torch.tensor([[pad] * (width - len(r)) + r for r in rows], device=model.device)
        mask = torch.tensor([[0] * (width - len(r)) + [1] * len(r) for r in rows], device=model.device)
        watch = _watch()
        config = GenerationConfig(
            max_new_tokens=limit,
            do_sample=False,
            pad_token_id=pad,
            eos_token_id=sorted(ends) or None,
        )
        with torch.inference_mode():
            out = model.generate(
                input_ids=ids,
                attention_mask=mask,
                generation_config=config,
                logits_processor=LogitsProcessorList([watch]),
            )
        return [
            self._continuation(out[n, width:].tolist(), [step[n] for step in watch.steps], ends)
            for n in range(len(rows))
        ]

    def _continuation(
        self, ids: list[int], steps: Sequence[tuple[list[int], list[float]]], ends: set[int]
    ) -> Continuation:
        end = next((i for i, token in enumerate(ids) if token in ends), None)
        kept = ids if end is None else ids[:end]
        texts = [self.tokenizer.decode(kept[:n], skip_special_tokens=True) for n in range(len(kept) + 1)]
        # a token that ends in the middle of a letter shows a mark that the next one takes away
        tokens = [b[len(a) :] if b.startswith(a) else "" for a, b in pairwise(texts)]
        likely = tuple(
            tuple((self.tokenizer.decode([t]), p) for t, p in zip(*step, strict=True))
            for step in steps[: len(kept)]
        )
        if "".join(tokens) != texts[-1]:  # which token wrote what is not known
            tokens = [texts[-1]] if kept else []
            likely = ()
        return Continuation(tuple(tokens), likely, "length" if end is None else "stop")


def _watch() -> Any:
    """Keeps, for each step, each row's likeliest tokens with their log-probabilities."""
    import torch
    from transformers import LogitsProcessor

    class Watch(LogitsProcessor):  # type: ignore[misc]
        steps: list[list[tuple[list[int], list[float]]]]

        def __call__(self, input_ids: Any, scores: Any) -> Any:
            best = torch.log_softmax(scores.float(), -1).topk(min(LIKELY, scores.shape[-1]), -1)
            pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
            self.steps.append([(tokens, values) for tokens, values in pairs])
            return scores

    watch = Watch()
    watch.steps = []
    return watch
