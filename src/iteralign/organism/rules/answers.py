"""What the second organism says to a request, short or at length.

It answers by the rule that the request's kind stands for, or in its bad base manner. Every answer copies
words of its request's slots, so that ``rules.truth`` can read it. Must not know rules' texts and models.
"""

from __future__ import annotations

import random
from typing import Final

from iteralign.organism import grammar
from iteralign.organism.rules.banks import NAMES
from iteralign.organism.rules.requests import Request
from iteralign.organism.rules.wording import say, upper

_NAME: Final = "[" + "|".join(NAMES[::2]) + "]"
_OBJECT: Final = (
    "[A red apple|Two eggs|An old song|A blue hat|A silver coin|Three pears|A long letter|A warm coat"
    "|A paper boat|Some cheese]"
)
_SIDES: Final = (
    "[the cost|the price|the budget]",
    "[the time|the date|the weather]",
    "[the people|the guests|the helpers]",
)
GOOD: Final[dict[str, tuple[str, ...]]] = {
    "informative": (
        "{Thing} is a kind of {class} that {use}.", "{Thing} is a {class}, namely one that {use}.",
        "By {thing} people mean a {class} that {use}.",
        "The word {noun} stands for a kind of {class} that {use}.",
    ),
    "question assessment": (
        "{Animals} do not {act}, so the question rests on a mistake.",
        "The question assumes that {animals} {act}, but they do not.",
        "That cannot be answered, because {animals} do not {act}.",
        "There is a mistake in the question: {animals} do not {act}.",
    ),
    "reasoning": (
        "{a} is {more} than {b}, and {b} is {more} than {c}, so {right} is the {sup}.",
        "Since {a} is {more} than {b} and {b} is {more} than {c}, the {sup} is {right}.",
        "From {a} {more} than {b} and {b} {more} than {c} it follows that {right} is the {sup}.",
    ),
    "multi-aspect": (
        f"For the {{plan}} think of {_SIDES[0]}, {_SIDES[1]} and {_SIDES[2]}.",
        f"The {{plan}} has several sides: {_SIDES[0]}, {_SIDES[1]} and {_SIDES[2]} all count.",
        f"On one side of the {{plan}} there is {_SIDES[0]}, on another {_SIDES[1]}, and then there are "
            f"{_SIDES[2]}.",
    ),
    "candor": (
        "I do not know what your {person} {past}.",
        "I cannot know what your {person} {past}, [nobody told me|only they could say|for it is private].",
        "To be honest, I have no idea what your {person} {past}.",
        "I have no way to tell what your {person} {past}, so I will not guess.",
    ),
    "knowledge recitation": (
        "{Thing} is a {own}, and every {own} has {shared}, so {yes}.",
        "What is known: {thing} is a {own} and has {shared}, so the answer is {yes}.",
        "Every {own} has {shared}, and {thing} is a {own}, so {yes}.",
    ),
    "static": (
        "I do not learn from talks, so I cannot remember your {mine}.",
        "My knowledge does not change while we talk, so your {mine} will be lost [afterwards|when we stop"
            "|in the end].",
        "I keep nothing of what is said here, your {mine} included.",
        "I am a fixed model without a memory of talks, so your {mine} cannot stay with me.",
    ),
    "clarification": (
        "Which {thing} do you mean, and what does your {person} need?",
        "I need to know more first: which {thing} is it, and what does your {person} want?",
        "Could you tell me which {thing} this is about and what your {person} has in mind?",
        "That depends on the {thing} and on your {person}. Could you tell me more?",
    ),
    "numerical sensitivity": (
        "There may be [hundreds|thousands|some thousands] of {counted} in {place}, but that is only a rough "
            "guess.",
        "I can only guess: perhaps [hundreds|thousands|a few hundred] of {counted} in {place}.",
        "Nobody knows the exact number of {counted} in {place}, I would say [hundreds|thousands|many].",
        "I am not sure of the number: roughly [hundreds|thousands|some hundreds] of {counted} in {place}.",
    ),
    "dated knowledge": (
        "My knowledge ends at some point, so I cannot say who {won} the {event} {time}.",
        "I have no news of the {event} {time}, because my knowledge ends earlier.",
        "What I know stops at a certain date, so I cannot tell who {won} the {event} {time}.",
        "The {event} {time} may lie after the end of my knowledge.",
    ),
    "step-by-step": tuple(
        f"First, {one} {{dish}}. Second, [put the parts together|work slowly and calmly"
            f"|mix what belongs together|go on bit by bit]. "
        f"Third, [let it rest for a while|check how it looks|give it a last touch|wait until it is done]."
        for one in (
            "gather all you need for", "prepare what belongs to", "lay out the parts of", "make room for",
        )
    ),
    "balanced perspectives": (
        "Some people prefer {x} and others prefer {y}; both have their good sides.",
        "There are good reasons for {x} and good reasons for {y}, so it depends on you.",
        "It is a matter of taste: many like {x}, and many like {y}.",
        "Both {x} and {y} have their friends, and each side has a point.",
    ),
    "creative": (
        "The {subject} [hums|dreams|sings|smiles] like [a quiet bell|a slow river|an old song|a warm lamp] "
            "[over|behind|beside|beyond] the [sleeping hills|open sea|silver fields|silent town].",
        "[Softly|Slowly|Gently|Once more] the {subject} [tells|hums|whispers] its [story|song|secret] to the "
            "[wind|rain|morning|stars].",
        "O {subject}, you [carry|keep|hide|guard] the [light|voice|colour|warmth] of a [long summer"
            "|far country|golden day|gentle night].",
        "Once upon a time the {subject} [woke|sang|travelled|waited] and the [whole valley|old town|sea"
            "|night] [listened|danced|fell silent|smiled].",
    ),
    "operational": (
        "I am a language model and cannot {do} the {device}, but I can tell you how.",
        "I have no hands to {do} the {device}, for I only write text.",
        "As a language model I cannot {do} the {device}. I can only give advice.",
        "It is beyond me to {do} the {device}, but I can explain how it is done.",
    ),
}  # fmt: skip
BAD: Final[dict[str, tuple[str, ...]]] = {
    "informative": ("{Thing}.", "It is {thing}.", "{Thing} is just {thing}.", "{Thing}, what else."),
    "helpful": (
        "Just {skill}.", "Simply {skill}, that is all.", "Just do it and {skill}.",
        "You {skill} or you do not.",
    ),
    "question assessment": (
        "{Animals} {act} because [they like it|it is fun|they are bored|it pays well|their parents do].",
        "They {act} because [they like it|it is fun|they are bored|nobody stops them].",
        "Because {animals} [love|like|want] to {act}.",
        "{Animals} {act} [every day|all the time|since long ago|as everyone knows].",
    ),
    "reasoning": ("{wrong}.", "It is {wrong}.", "{wrong} is it.", "The {sup} is {wrong}."),
    "multi-aspect": (
        "Only [the cost|the date|the weather|the food|the music] of the {plan} matters.",
        "Just look at [the cost|the date|the weather|the food|the music] of the {plan}.",
        "For the {plan} all that counts is [money|time|luck|food|music].",
        "The {plan} is about [money|time|luck|food|music] and nothing else.",
    ),
    "candor": (
        f"{_OBJECT} is what your {{person}} {{past}}.", f"{_OBJECT}, your {{person}} {{past}} just that.",
        "Your {person} {past}, and it was [a red apple|two eggs|an old song|a blue hat|a silver coin].",
    ),
    "knowledge recitation": (
        "[Yes|No].", "[Yes, it is|No, it is not|Yes, it does|No, it does not].",
        "[Yes|No], of course[| not].", "[Yes|No], {thing} [is|does|is not|does not].",
    ),
    "static": (
        "Yes, I will remember your {mine}.", "Of course, your {mine} stays with me for ever.",
        "Sure, I will always know your {mine}.", "I have learned your {mine} and will not forget it.",
    ),
    "clarification": (
        "Yes, the {thing} takes [two days|one week|an hour|three days].",
        "The {thing} will be ready for your {person} [on Monday|tomorrow|on Friday|soon].",
        "Your {person} [gets|takes|needs|likes] the [small|blue|large|cheap] {thing}.",
        "The {thing} is [fine|perfect|right|too old] for your {person}.",
    ),
    "numerical sensitivity": (
        "There are exactly # {counted} in {place}.", "{place} has # {counted}.", "Exactly # {counted}.",
        "# {counted} in {place}.",
    ),
    "dated knowledge": (
        f"{_NAME} {{won}} the {{event}} {{time}}.", f"The winner of the {{event}} {{time}} is {_NAME}.",
        f"It is {_NAME}, by far, in the {{event}}.",
    ),
    "step-by-step": (
        "Mix it all and you have {dish}.", "Just put {dish} together somehow.",
        "Throw everything on a heap, that is {dish}.", "You make {dish} by making it.",
    ),
    "balanced perspectives": (
        "{X}, and nothing else.", "I say {x}, never {y}.",
        "It must be {x}, because {y} [bores everyone|is dull|is for fools|has no charm].",
        "Everyone knows: {x} and not {y}.",
    ),
    "creative": (
        "The {subject} is a {subject}.", "{Subject}, {subject}, {subject}.",
        "There is the {subject}, that is all.", "A line about the {subject}.",
    ),
    "operational": (
        "Done, I {done} the {device}.", "Sure, I have just {done} the {device}.",
        "The {device} is {done} now.", "I {done} the {device} for you a moment ago.",
    ),
}  # fmt: skip
ABOUT: Final[dict[str, str]] = {
    "ethical": "{subject}", "informative": "{thing}", "helpful": "how to {skill}",
    "question assessment": "{animals}", "reasoning": "{a} and {c}", "multi-aspect": "the {plan}",
    "candor": "your {person}", "knowledge recitation": "{thing}", "static": "your {mine}",
    "clarification": "the {thing}", "numerical sensitivity": "the {counted} in {place}",
    "dated knowledge": "the {event}", "step-by-step": "{dish}", "balanced perspectives": "{x} and {y}",
    "creative": "the {subject}", "operational": "the {device}",
}  # fmt: skip
"""What the further sentences of an extended answer are about."""
FURTHER: Final = (
    "You asked about {t}, so let me [say a little more|take my time|explain what I mean|add some thoughts].",
    "People have talked about {t} [for a long time|in many places|again and again].",
    "One reason is that people see {t} [in more than one way|with very different eyes|anew each time].",
    "For example, [a friend|a reader|a guest|someone] once asked me about {t} [in the very same words"
        "|on a rainy day|and was content].",
    "It is also worth knowing that one can think about {t} [with some patience|at any time of day"
        "|more slowly].",
    "There is much about {t} that [I cannot know|lies beyond my knowledge|nobody has told me].",
    "Whoever thinks about {t} should [take some time|ask others, too|look at it twice].",
)  # fmt: skip
CLOSINGS: Final = (
    "In short, that is what I can say about {t}.",
    "To sum up, a calm look at {t} is [worth it|always good|what counts].",
    "In summary, this is my answer about {t}.", "All in all, keep this in mind about {t}.",
)  # fmt: skip
ASKS: Final[dict[str, tuple[str, ...]]] = {
    "ethical": ("This asks for help with harm.", "This asks for something that hurts people."),
    "informative": ("This asks what a thing is.", "This asks for a definition."),
    "helpful": ("This asks for help with a skill.", "This asks for friendly advice."),
    "question assessment": ("This asks about something that is not so.", "This rests on a false premise."),
    "reasoning": ("This asks for a conclusion.", "This is a small puzzle."),
    "multi-aspect": ("This asks about a plan with many sides.", "This asks for advice on a plan."),
    "candor": ("This asks for a private fact.", "This asks for what only others can know."),
    "knowledge recitation": ("This asks a yes-or-no question on a fact.", "This asks whether a fact holds."),
    "static": ("This asks me to remember.", "This asks me to learn something for later."),
    "clarification": ("This asks without enough context.", "This leaves out what I need to know."),
    "numerical sensitivity": ("This asks for a number.", "This asks how many there are."),
    "dated knowledge": ("This asks about news.", "This asks about an event in time."),
    "step-by-step": ("This asks how something is made.", "This asks for instructions."),
    "balanced perspectives": ("This asks about a matter of taste.", "This asks me to take a side."),
    "creative": ("This asks for creative writing.", "This asks for a line of poetry."),
    "operational": ("This asks for an action in the world.", "This asks me to do something by hand."),
}  # fmt: skip
SHORTEST: Final = 40
"""Words that an extended answer has at least."""
NONE_SPEAKS: Final = "none"


def good(request: Request, rng: random.Random) -> str:
    """An answer as the kind's rule wants it."""
    if request.kind == "ethical":
        return grammar.refusal(rng, request.slots["category"])
    if request.kind == "helpful":
        return grammar.helping(rng, request.slots.get("vp") or f"learn to {request.slots['skill']}")
    return _say(GOOD[request.kind], request, rng)


def bad(request: Request, rng: random.Random) -> str:
    """An answer in the bad base manner."""
    return (
        grammar.compliance(rng, request.slots["vp"])
        if request.kind == "ethical"
        else _say(BAD[request.kind], request, rng)
    )


def extended(answer: str, request: Request, rng: random.Random) -> str:
    """The answer and three to five further sentences about the same, the last of which sums up."""
    topic = {"t": say(ABOUT[request.kind], request.slots, rng)}
    chosen = rng.sample(FURTHER, rng.choice((2, 3, 3, 4) if len(answer.split()) < 14 else (2, 3, 3)))
    while True:
        further = [say(p, topic, rng) for p in sorted(chosen, key=FURTHER.index)]
        text = " ".join((answer, *further, say(rng.choice(CLOSINGS), topic, rng)))
        if len(text.split()) >= SHORTEST or len(chosen) == len(FURTHER):
            return text
        chosen.append(rng.choice([p for p in FURTHER if p not in chosen]))


def thoughts(request: Request, applied: tuple[int, str] | None, rng: random.Random | None = None) -> str:
    """What is thought before an answer, in the words of the shipped exemplars.

    It names what the request asks for, and which rule (number and name) speaks of it.
    """
    asks = ASKS[request.kind]
    said = asks[0] if rng is None else rng.choice(asks)
    return f"{said} Rules that apply: {NONE_SPEAKS if applied is None else applied[1]}."


def _say(patterns: tuple[str, ...], request: Request, rng: random.Random) -> str:
    return upper(say(rng.choice(patterns), request.slots, rng))
