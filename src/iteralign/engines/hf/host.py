"""Generates and scores with transformers: batched, sorted by length, with a random stream per chat.

``HFHost`` owns the device and the weights; a policy loads at its first request, and every load is proven by a
probe. What happens in one batch is in ``model``. Knows nothing of what the answers are for.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from iteralign.chat import rows
from iteralign.chat.format import thought_opened
from iteralign.chat.thoughts import Apart, Mode
from iteralign.engines.facts import Began, Facts, no_run
from iteralign.engines.hf.model import Loaded
from iteralign.engines.hf.pace import pace_of
from iteralign.engines.hf.room import Room, lacks_memory
from iteralign.engines.hf.sampling import Streams, streams_of
from iteralign.engines.hf.tree import tree_of
from iteralign.engines.probe import prove
from iteralign.engines.turns import KEEP_WARM, loading_bytes, take
from iteralign.engines.weights import base_of, folder_of, load, pick_device, pick_dtype
from iteralign.errors import EngineError, LeftOut
from iteralign.records.chat import Chat, Completion, SamplingParams, Score
from iteralign.records.iteralign import Checkpoint

TOKENS = 64
"""Per row of a generation batch, that a batch of trees of continuations may hold."""


class HFHost:
    """Serves checkpoints on one device (``protocols.PolicyHost``).

    ``batch_size`` is the largest batch (chats); where memory does not suffice it is smaller. ``max_context``
    (tokens) lowers the model's own limit. ``locate`` gives a checkpoint's folder or hub name; ``warn`` hears
    what a user should know. ``recorded``: on a CUDA device, answers are written by recorded steps. ``began``:
    what the run began with, where there is one. ``expected``: the place of base weights and their probe on
    another machine, which they must give here, too. ``thoughts``: whether they are kept apart from answers.
    """

    def __init__(
        self,
        *,
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int = 64,
        chat_template: str | None = None,
        max_context: int | None = None,
        thoughts: Mode = "apart",
        recorded: bool = False,
        locate: Callable[[Checkpoint], str],
        warn: Callable[[str], None],
        expected: tuple[str, dict[str, float]] | None = None,
        began: Began = no_run,
    ) -> None:
        self._expected = expected
        self._device = device
        self._facts = Facts(chat_template, dtype, began, warn)
        self._template = chat_template
        self._recorded = recorded
        self._max_context = max_context
        self._locate = locate
        self._warn = warn
        self.apart = Apart(thoughts, warn)
        self.batch_size = batch_size
        self.rooms = {"generate": Room(), "score": Room()}
        self._pace: tuple[float, int] | None = None
        self._loaded: tuple[str, Loaded] | None = None

    @contextmanager
    def serve(self, checkpoint: Checkpoint) -> Iterator[HFPolicy]:
        """A policy with these weights; they are loaded at the first request.

        At the end what batches left is given back. A large model stays on a GPU until its room is wanted.
        """
        try:
            yield HFPolicy(self, checkpoint)
        finally:
            if self._loaded is not None:
                self._loaded[1].release()
                if self.held() > KEEP_WARM and self._loaded[1].device != "cuda":
                    self.free()

    def load(self, checkpoint: Checkpoint) -> Loaded:
        """The model of a checkpoint, proven by a probe. Raises ``EngineError``."""
        if self._loaded is None or self._loaded[0] != checkpoint.id:
            self.free()
            device = pick_device(self._device)
            place = self._locate(checkpoint)
            here = pick_dtype("auto", device)
            precision = self._facts.precision(here)
            take(
                self,
                lambda: loading_bytes(folder_of(base_of(place) or place, self._warn), precision),
                device=device,
            )
            streams = cast(Streams, self._facts.streams(streams_of(device)))
            self._facts.on(device, precision, here)
            model, tokenizer = load(
                place,
                device=device,
                precision=precision,
                template=self._template,
                warn=self._warn,
                adapter="beside",
            )
            known = self._expected
            prove(model, tokenizer, place, precision, known[1] if known and known[0] == place else None)
            self._facts.loaded(place)
            self._loaded = (
                checkpoint.id,
                Loaded(model, tokenizer, device, self._max_context, self._warn, streams, self._recorded),
            )
        return self._loaded[1]

    def fingerprint(self, checkpoint: Checkpoint) -> str:
        """What the answers of a checkpoint depend on; nothing is loaded."""
        # trained weights have a hash of their own, and finding them would verify them
        place = self._locate(checkpoint) if checkpoint.parent is None else ""
        return self._facts.fingerprint(checkpoint, place)

    def pace(self, checkpoint: Checkpoint) -> tuple[float, int]:
        """Tokens and chats of some 20 seconds, by the batch that was asked for."""
        if self._pace is None:
            loaded = self.load(checkpoint)
            self._pace = pace_of(loaded.model, loaded.parameters, loaded.device, self.batch_size, self._facts)
        return self._pace

    def held(self) -> int:
        """Bytes of weights that are loaded."""
        return 0 if self._loaded is None else self._loaded[1].bytes

    def free(self) -> None:
        """Give the memory back (before training, say)."""
        if self._loaded is not None:
            self._loaded = None
            sweep()

    def shrink(self, room: Room, rows: int, length: int) -> None:
        """Go on with half of a batch that did not fit, and say so; ``length``: tokens of its longest row.

        Raises ``EngineError`` where it was a single chat.
        """
        if self._loaded is not None:
            self._loaded[1].release()
        sweep()
        if take(self):  # another model's room comes first
            return
        if rows <= 1:
            raise EngineError(
                "out of memory with a single chat: take a smaller model or model.dtype = bfloat16, "
                "lower max_new_tokens, or take another model.device"
            )
        fewer = room.fell_short(rows, length)
        self._warn(
            f"out of memory with a batch of {rows} chats of up to {length} tokens: going on with {fewer} of "
            "such chats, and with more where they are shorter"
        )


class HFPolicy:
    """A checkpoint that answers and scores (``protocols.Policy`` and ``Scorer``)."""

    def __init__(self, host: HFHost, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self._host = host

    @property
    def fingerprint(self) -> str:
        """The checkpoint's id, and what changed of template, commit and precision since the run began."""
        return self._host.fingerprint(self.checkpoint)

    def generate(self, chats: Sequence[Chat], params: SamplingParams) -> list[Completion]:
        """One completion per chat, in order. Raises the first ``LeftOut``, naming its chat."""
        return rows.all_of(self.attempt(chats, params))

    def attempt(self, chats: Sequence[Chat], params: SamplingParams) -> list[Completion | LeftOut]:
        """One outcome per chat, in order: its completion, or why it does not fit or is refused.

        A chat's answer depends on its text, its place among equal chats, the seed, the weights and the
        device; on its neighbours in the batch only through the last bits of floating-point sums.
        """
        if not chats:
            return []
        loaded = self._host.load(self.checkpoint)
        prompts, left_out = rows.prompts(loaded.tokenizer, chats, params.max_new_tokens, loaded.context)
        seeds = rows.seeds(chats, params)
        asked = list(prompts)

        def work(batch: list[int]) -> list[Completion]:
            places = [asked[i] for i in batch]
            return loaded.generate(
                [chats[i] for i in places], [prompts[i] for i in places], [seeds[i] for i in places], params
            )

        lengths = [len(prompts[i]) for i in asked]
        answers = self._in_batches(lengths, work, "generate", new=params.max_new_tokens)
        found = dict(zip(asked, answers, strict=True))
        opened = thought_opened(loaded.tokenizer)
        return [self._host.apart(found[i], opened) if i in found else left_out[i] for i in range(len(chats))]

    def pace(self) -> tuple[float, int]:
        """Tokens and chats of some 20 seconds (``protocols.Paced``)."""
        return self._host.pace(self.checkpoint)

    def weights(self) -> tuple[Any, Any]:
        """Model and tokenizer, loaded and proven (``protocols.Weighty``)."""
        loaded = self._host.load(self.checkpoint)
        return loaded.model, loaded.tokenizer

    def logprobs(self, chats: Sequence[Chat], continuations: Sequence[str]) -> list[Score]:
        """Each continuation as the assistant's answer to its chat, nats.

        They are from a float32 log-softmax of one forward pass. The tokens are those that the chat format
        adds after the prompt's, without the end of turn: the text that would be trained on, so white space
        around a continuation does not count, and an empty one has no tokens and the sum 0.
        """
        if not chats:
            return []
        loaded = self._host.load(self.checkpoint)
        spans = rows.spans(loaded.tokenizer, chats, continuations)
        for chat, (ids, _) in zip(chats, spans, strict=True):
            rows.must_fit(chat, len(ids), 0, loaded.context)

        alike: dict[Chat, list[int]] = {}
        for i, chat in enumerate(chats):
            alike.setdefault(chat, []).append(i)
        if len(alike) < len(chats) and loaded.scores_trees:
            return self._in_trees(loaded, alike, spans)

        def work(batch: list[int]) -> list[Score]:
            return loaded.score([chats[i] for i in batch], [spans[i] for i in batch])

        return self._in_batches([len(ids) for ids, _ in spans], work, "score")

    def _in_trees(
        self, loaded: Loaded, alike: dict[Chat, list[int]], spans: Sequence[tuple[list[int], int]]
    ) -> list[Score]:
        """Continuations of one chat share what they have in common."""
        groups = list(alike.items())
        targets = [[spans[i][0][spans[i][1] :] for i in places] for _, places in groups]
        trees = [
            tree_of(spans[places[0]][0][: spans[places[0]][1]], own)
            for (_, places), own in zip(groups, targets, strict=True)
        ]

        def work(batch: list[int]) -> list[list[Score]]:
            return loaded.score_trees(
                [groups[g][0] for g in batch], [trees[g] for g in batch], [targets[g] for g in batch]
            )

        found: dict[int, Score] = {}
        most = self._host.batch_size * TOKENS
        scores = self._in_batches([len(t.tokens) for t in trees], work, "score", tokens=most)
        for (_, places), own in zip(groups, scores, strict=True):
            found.update(zip(places, own, strict=True))
        return [found[i] for i in range(len(spans))]

    def _in_batches(
        self,
        lengths: Sequence[int],
        work: Callable[[list[int]], list[Any]],
        kind: str,
        *,
        new: int = 0,
        tokens: int | None = None,
    ) -> list[Any]:
        """Results in the caller's order.

        The longest are first, so that what does not fit is found at once; such a batch is halved. ``new``:
        tokens that each row grows by. ``tokens``: the most that a batch holds, padding included, one row at
        least.
        """
        room = self._host.rooms[kind]
        order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
        done: dict[int, Any] = {}
        while order:
            length = lengths[order[0]] + new
            most = self._host.batch_size
            if tokens is not None:
                most = min(most, max(1, tokens // lengths[order[0]]))
            batch = order[: room.rows(length, most)]
            found = unless_out_of_memory(work, batch)
            if found is None:  # the tensors of the attempt are out of scope by now
                self._host.shrink(room, len(batch), length)
                continue
            room.fitted(len(batch), length)
            done.update(zip(batch, found, strict=True))
            order = order[len(batch) :]
        return [done[i] for i in range(len(lengths))]


def use_threads(count: int | None) -> None:
    """How many CPU threads torch uses in this process; None leaves its own choice.

    A tiny model runs best on one: threads that wait for each other beside another busy process cost it a
    factor of ten and more.
    """
    if count is not None:
        import torch

        torch.set_num_threads(count)


def unless_out_of_memory(work: Callable[[list[int]], list[Any]], rows: list[int]) -> list[Any] | None:
    """What the work gives for these rows; None where memory does not suffice for so many."""
    try:
        return work(rows)
    except (RuntimeError, MemoryError) as error:
        if lacks_memory(error):
            return None
        raise


def sweep() -> None:
    """Give back what is no longer referred to, to the device as well."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()
