"""Which prompts cannot be asked of a recipe's model, as far as that can be known before a run.

A part of the composition root. Loads a tokenizer only where a prompt is long or of unusual turns, and no
weights. Nothing is started or written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from iteralign.build.models import base_folder
from iteralign.data.load import places_of
from iteralign.engines.limits import config_of
from iteralign.engines.weights import cached_folder, load_tokenizer, quiet
from iteralign.errors import DataError, EngineError
from iteralign.exchanges import in_full
from iteralign.recipe.iteralign import Recipe
from iteralign.records.chat import Chat
from iteralign.records.iteralign import RedTeamPrompt
from iteralign.text.printable import one_line

FRAME = 64
"""Tokens that a chat template puts around a turn, at most."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """A prompt that cannot be asked: its id, its place (file and line), and why."""

    prompt_id: str
    where: str
    why: str


def misfits(recipe: Recipe, prompts: Sequence[RedTeamPrompt]) -> list[Misfit]:
    """Return the prompts that the model cannot be asked. None where its tokenizer is not on this machine."""
    asked = [
        (p.messages, (recipe.red_team if p.split == "train" else recipe.evaluation).sampling.max_new_tokens)
        for p in prompts
    ]
    why = unasked(recipe, asked)
    places = _places(recipe) if why else {}
    return [
        Misfit(prompts[i].id, places.get(prompts[i].id) or _opening(prompts[i].text), reason)
        for i, reason in why.items()
    ]


def unasked(recipe: Recipe, chats: Sequence[tuple[Chat, int]]) -> dict[int, str]:
    """Return the places of the chats that cannot be asked, each with its reason.

    A chat comes with the longest answer, tokens.
    """
    from iteralign.chat.rows import prompts as fitting

    folder = _folder(recipe)
    context = None if folder is None else _context(recipe, folder)
    if folder is None:
        return {}
    most = context or 1 << 30
    doubtful = [i for i, (chat, new) in enumerate(chats) if _most(chat) + new > most or not _usual(chat)]
    if not doubtful:
        return {}
    quiet()
    try:
        tokenizer = load_tokenizer(str(folder), recipe.model.chat_template)
    except EngineError:
        return {}  # the run itself says what is wrong with it
    found: dict[int, str] = {}
    for i in doubtful:
        _, left_out = fitting(tokenizer, [chats[i][0]], chats[i][1], most)
        if left_out:
            found[i] = in_full(left_out[0])
    return found


def _folder(recipe: Recipe) -> Path | None:
    """Return where the model's tokenizer lies; None where it is not here, or a server has its own."""
    if recipe.model.engine == "server" and recipe.model.api == "chat":
        return None
    folder = base_folder(recipe)
    return folder if folder.is_dir() else cached_folder(recipe.model.name)


def _context(recipe: Recipe, folder: Path) -> int | None:
    """Return the tokens that fit; None where it is not known. A server's own limit is asked of it later."""
    told: list[int | None] = [recipe.model.max_context]
    if recipe.model.engine != "server":
        config = config_of(folder)
        own = config.get("text_config") or config
        told.append(own.get("max_position_embeddings") if isinstance(own, dict) else None)
    known = [n for n in told if isinstance(n, int) and n > 0]
    return min(known, default=None)


def _most(chat: Chat) -> int:
    """Return the tokens that a chat takes at most: a token is a byte at least."""
    return FRAME * (len(chat) + 2) + sum(len(m.text.encode("utf-8", "replace")) for m in chat)


def _usual(chat: Chat) -> bool:
    """Return whether the turns are those that every template takes: user and assistant alternate."""
    roles = [m.role for m in chat if m.role != "system" or m is not chat[0]]
    return roles == [("user", "assistant")[i % 2] for i in range(len(roles))]


def _places(recipe: Recipe) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for section, intent in ((recipe.benign, "benign"), (recipe.red_team, "harmful")):
        try:
            found |= places_of(section.source, intent, section.columns)  # type: ignore[arg-type]
        except DataError:  # gone since the run began
            continue
    return found


def _opening(text: str) -> str:
    return repr(one_line(text, 60))
