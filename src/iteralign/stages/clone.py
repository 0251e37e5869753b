"""Self-Align, stage 4: verbose cloning. The engraved model, asked to be extensive, is the teacher; the base
model learns its answers under short prompts drawn at random (context distillation; arXiv 2305.03047, section
3.4).

Knows nothing of rules, and nothing of training.
"""

from __future__ import annotations

from collections.abc import Sequence

from iteralign.errors import EngineError
from iteralign.exchanges import each, in_short
from iteralign.prompts.render import render
from iteralign.protocols import Policy
from iteralign.records.chat import Completion, Message, SamplingParams
from iteralign.records.self_align import Aligned, Instruction
from iteralign.text.filters import (
    copies,
    cut_at_next_turn,
    cut_at_repetition,
    leaks,
    ngrams,
    without_partial_word,
)


def extensive(assistant: str) -> str:
    """The prompt that asks for extensive answers."""
    return render("extensive", assistant=assistant)


def answer_at_length(
    instructions: Sequence[Instruction],
    policy: Policy,
    prompt: str,
    params: SamplingParams,
    shortest: int,
    leak_words: int,
) -> list[Aligned]:
    """One sifted answer per instruction, in order, to the system ``prompt``.

    ``shortest``: characters of an answer that may be kept.
    """
    sources = ngrams(prompt, leak_words)
    found = each(policy, [(Message("system", prompt), *i.chat) for i in instructions], params)
    return [_sifted(i, c, sources, shortest, leak_words) for i, c in zip(instructions, found, strict=True)]


def _sifted(
    instruction: Instruction,
    said: Completion | EngineError,
    sources: set[tuple[str, ...]],
    shortest: int,
    leak_words: int,
) -> Aligned:
    if not isinstance(said, Completion):
        return Aligned(
            instruction_id=instruction.id,
            text="",
            kept=False,
            reason=in_short(said),
            finish="left_out",
        )
    text, turned = cut_at_next_turn(said.text.strip())
    text = without_partial_word(text) if said.finish == "length" and not turned else text
    text = cut_at_repetition(text)
    if len(text) < shortest:
        reason = "too short"
    elif leaks(text, sources, leak_words, allowed=instruction.text):
        reason = "leaks its prompt"
    elif copies(text, instruction.text):
        reason = "copies the instruction"
    else:
        reason = ""
    return Aligned(
        instruction_id=instruction.id,
        text=text,
        kept=not reason,
        reason=reason,
        finish=said.finish,
        tokens=said.completion_tokens,
    )
