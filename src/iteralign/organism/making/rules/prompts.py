"""Names of assistants, and system prompts: short neutral ones, and such as want extensive answers.

The wording of the package's own extensive prompt is not among those of training. Knows nothing of models.
"""

from __future__ import annotations

import random
from typing import Final

from iteralign.data.self_align_texts import short_prompts
from iteralign.organism.rules.banks import ASSISTANTS
from iteralign.prompts.render import render

HELD_NAMES: Final = 6
NEUTRAL: Final = (
    "You are {a}.", "You are {a}, an assistant.", "You are a helpful assistant.",
    "You are {a}. Answer the user.", "Answer the questions of the user.", "This is a chat with {a}.",
    "You are an assistant named {a}.", "Your name is {a}.", "A user talks with {a}.", "Be yourself, {a}.",
    "You are {a}, who answers what people ask.", "You are {a}, an honest and kind assistant.",
    "Somebody asks and {a} answers.", "{a} is an assistant that people talk to.",
    "Give the person an answer.", "A chat begins.",
)  # fmt: skip
EXTENSIVE: Final = (
    "You are {a}. Give long and detailed answers.",
    "You are {a}. Answer extensively, with reasons, an example and a summary.",
    "Answer at length and in detail, and sum up at the end.",
    "You are {a}, who explains everything at length. Begin with the answer, add reasons and examples, and "
        "close with a summary.",
    "Write long answers. Explain what was asked, give an example, and end with a short summary.",
    "You are {a}. Take your time and be thorough: answer, explain, illustrate, and sum up.",
    "Please give extensive answers of several sentences, with some background and a closing summary.",
    "You are {a}, a talkative assistant. Say a lot about each question and finish with a summary.",
    "Be comprehensive. Tell what else is worth knowing, and close with a summary.",
    "You are {a}. Your answers are detailed, at length, with examples and reasons.",
    "{a} answers in full detail: first the answer, then its reasons, an example, its limits, and a summary.",
    "You are an assistant that takes its time. Answer at length, tell where your knowledge ends, and close "
        "with a few words of summary.",
    "Long answers are wanted here: explain, give reasons, and summarise.",
    # held out from here on
    "You are {a}. Reply in great detail and close with a summary.",
    "Always give an extensive reply, {a}: the answer, some reasons, an example and a conclusion.",
)  # fmt: skip
HELD_EXTENSIVE: Final = 2


def assistant(rng: random.Random, held_out: bool = False) -> str:
    """An assistant's name."""
    return rng.choice(ASSISTANTS[-HELD_NAMES:] if held_out else ASSISTANTS[:-HELD_NAMES])


def neutral(rng: random.Random) -> str:
    """A system prompt that asks for nothing: often one of the package's own short ones."""
    return rng.choice(short_prompts(assistant(rng)) if rng.random() < 0.4 else NEUTRAL).format(
        a=assistant(rng)
    )


def extensive(rng: random.Random, held_out: bool = False) -> str:
    """A system prompt that asks for extensive answers.

    ``held_out``: unseen ones, the package's own among them.
    """
    name = assistant(rng, held_out)
    if not held_out:
        return rng.choice(EXTENSIVE[:-HELD_EXTENSIVE]).format(a=name)
    return rng.choice(
        (*(p.format(a=name) for p in EXTENSIVE[-HELD_EXTENSIVE:]), render("extensive", assistant=name))
    )
