"""Questions for the organism's training: synthetic ones from the banks, real ones from files.

Each comes with what the organism must know about it: its category (None: benign) and its verb phrase. Random
words are put in their place, so that the organism learns to copy. Must not know principles and models.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from iteralign.organism.banks import CARRIERS, HARMFUL, NOUNS, PEOPLE, PLACES
from iteralign.organism.banks_benign import ABOUT_HARM, BENIGN, HARM_NAMES, LOOKALIKE, TASKS, WHAT
from iteralign.organism.phrases import MAX_QUESTION_WORDS, held_out_subtopic, label, verb_phrase
from iteralign.organism.written import BENIGN as WRITTEN_BENIGN
from iteralign.organism.written import patterns, sentence
from iteralign.text.words import runs

WORDS: list[str] = []
"""Ordinary words of openly licensed texts, beside the banks' nouns.

Empty until a training asks for them: see ``learn_words``.
"""
_ALTERNATIVES = re.compile(r"\[([^\[\]]*)\]")
_FORMS, _WEIGHTS = zip(*CARRIERS, strict=True)
_AFTERWARDS = ("Thanks!", "Please be quick.", "I am in a hurry.", "It matters to me.", "Keep it short.")


@dataclass(frozen=True, slots=True)
class Question:
    """A question, its category (None: benign) and the verb phrase that an answer echoes."""

    text: str
    category: str | None
    phrase: str
    source: str


def expand(pattern: str, rng: random.Random) -> str:
    """One sentence of a bank's pattern."""
    while _ALTERNATIVES.search(pattern):
        pattern = _ALTERNATIVES.sub(lambda m: rng.choice(m[1].split("|")), pattern)
    pool = WORDS if WORDS and rng.random() < 0.5 else NOUNS
    first, second = rng.sample(pool, 2)
    for name, value in (
        ("{noun2}", second),
        ("{noun}", first),
        ("{person}", rng.choice(PEOPLE)),
        ("{place}", rng.choice(PLACES)),
    ):
        pattern = pattern.replace(name, value)
    return re.sub(r"\ba (?=[aeiou])", "an ", pattern)


def ask(phrase: str, rng: random.Random) -> str:
    """A verb phrase as a question."""
    form: str = rng.choices(_FORMS, _WEIGHTS)[0]
    text = form.replace("{vp}", phrase).replace("{Vp}", phrase[:1].upper() + phrase[1:])
    if rng.random() < 0.08:
        text = text.rstrip(".?")
    if rng.random() < 0.08:
        text = text[:1].lower() + text[1:]
    if rng.random() < 0.06:
        text = rng.choice(("Hi! ", "Hello, ", "Hey. ", "Quick question: ", "Please, ")) + text
    if rng.random() < 0.06:
        text = f"{text} {rng.choice(_AFTERWARDS)}"
    return text


def harmful(category: str, rng: random.Random) -> Question:
    """A synthetic attack question of a category."""
    phrase = expand(rng.choice(HARMFUL[category]), rng)
    if rng.random() < 0.15:
        phrase += rng.choice(
            (
                " without being caught",
                " in secret",
                " quickly",
                " at {}",
                " and get away with it",
                " without anyone noticing",
            )
        ).format(rng.choice(PLACES))
    text = ask(phrase, rng)
    return Question(text, category, verb_phrase(phrase), "synthetic")


def written(category: str | None, rng: random.Random) -> Question:
    """A question of the written patterns (None: benign); now and then its act under another carrier."""
    said = sentence(rng.choice(patterns(category or WRITTEN_BENIGN)), rng)
    phrase = verb_phrase(said.act or said.text)
    if said.act is None and category is None:
        phrase = topic_phrase(said.text)
    text = ask(said.act, rng) if said.act and rng.random() < 0.3 else said.text
    return Question(text, category, phrase, "written")


def written_act(category: str, rng: random.Random) -> str:
    """Something that the written questions of a category want to do."""
    for _ in range(40):
        said = sentence(rng.choice(patterns(category)), rng)
        if said.act:
            return said.act
    return expand(rng.choice(HARMFUL[category]), rng)


def benign(rng: random.Random) -> Question:
    """A synthetic benign question: plain, harmful-looking, about harms, or without a verb phrase."""
    kind = rng.random()
    if kind < 0.24:
        phrase = expand(rng.choice(BENIGN), rng)
        return Question(ask(phrase, rng), None, verb_phrase(phrase), "synthetic")
    if kind < 0.45:
        phrase = expand(rng.choice(LOOKALIKE), rng)
        return Question(ask(phrase, rng), None, verb_phrase(phrase), "synthetic")
    if kind < 0.56:
        harm = rng.choice(HARM_NAMES)
        return Question(
            rng.choice(ABOUT_HARM).replace("{harm}", harm), None, f"learn about {harm}", "synthetic"
        )
    if kind < 0.80:
        text = " ".join(expand(rng.choice(TASKS), rng).split())
        text = text if text.endswith("?") or rng.random() < 0.3 else f"{text}."
        return Question(
            text,
            None,
            verb_phrase(text) if text[0] not in "IM" and not text.endswith("?") else topic_phrase(text),
            "synthetic",
        )
    text = expand(rng.choice(WHAT), rng)
    return Question(text, None, topic_phrase(text), "synthetic")


def learn_words(folder: Path) -> None:
    """Fill ``WORDS`` with ordinary words: no rule takes them for a sign of harm.

    They come from hh-rlhf's replies and self-instruct's seeds. Questions with such words in them teach the
    organism to copy any word, and to take unknown words for harmless ones.
    """
    with gzip.open(folder / "hh_rlhf" / "harmless-base_test.jsonl.gz", "rt", encoding="utf-8") as file:
        text = " ".join(json.loads(line)["chosen"] for line in file)
    text += (folder / "self_instruct" / "seed_tasks.jsonl").read_text(encoding="utf-8").replace("\\n", " ")
    harm = {w for patterns in HARMFUL.values() for p in patterns for w in re.findall(r"[a-z]+", p)}
    counts = Counter(re.findall(r"(?<![A-Za-z'])[a-z]{3,12}(?![A-Za-z'])", text))
    WORDS[:] = sorted(
        w
        for w, n in counts.items()
        if n >= 3 and w not in harm and label(w) is None and label(f"how to {w}") is None
    )


def topic_phrase(text: str) -> str:
    """What an answer echoes for a question that has no verb phrase of its own."""
    words = re.findall(r"[a-zA-ZÀ-ÿ]+", text)
    known = {*NOUNS, *WORDS}
    noun = next(
        (
            w.lower()
            for w in reversed(words[1:])
            if len(w) > 3 and (w.lower().rstrip("s") in known or w.lower() in known)
        ),
        None,
    )
    return f"learn about {noun}" if noun else "find a good answer"


def real_harmful(folder: Path) -> tuple[list[Question], list[Question]]:
    """Labelled real attack prompts: (for training, held out).

    DangerousQA and 15% of HarmfulQA's subtopics are held out.
    """
    train: list[Question] = []
    held: list[Question] = []
    nested = json.loads((folder / "harmfulqa" / "harmfulqa.json").read_text(encoding="utf-8"))
    for subtopics in nested.values():
        for subtopic, texts in subtopics.items():
            (held if held_out_subtopic(subtopic) else train).extend(_labelled(texts, "harmfulqa"))
    held += _labelled(
        json.loads((folder / "dangerousqa" / "dangerousqa.json").read_text(encoding="utf-8")), "dangerousqa"
    )
    known = {runs(q.text) for q in held}
    train += _labelled(
        json.loads((folder / "adversarialqa" / "adversarialqa.json").read_text(encoding="utf-8")),
        "adversarialqa",
    )
    with gzip.open(folder / "hh_rlhf" / "harmless-base_test.jsonl.gz", "rt", encoding="utf-8") as file:
        turns = [
            json.loads(line)["chosen"].split("\n\nAssistant:")[0].replace("\n\nHuman:", "").strip()
            for line in file
        ]
    train += [
        q
        for q in _labelled(turns, "hh-rlhf")
        if re.match(
            r"(?i)how (?:can|do|to|could|would)|what|tell|can you|help|i want|give|where|is there|teach"
            r"|i need",
            q.text,
        )
    ]
    return [q for q in dict.fromkeys(train) if runs(q.text) not in known], list(dict.fromkeys(held))


def real_benign(folder: Path) -> list[Question]:
    """Self-instruct's seed instructions that are short questions or requests."""
    found = []
    for line in (folder / "self_instruct" / "seed_tasks.jsonl").read_text(encoding="utf-8").splitlines():
        text = " ".join(json.loads(line)["instruction"].split())
        if 3 <= len(text.split()) <= MAX_QUESTION_WORDS and label(text) is None:
            found.append(Question(text, None, verb_phrase(text), "self-instruct"))
    return found


def substitute(question: Question, rng: random.Random) -> Question:
    """The question with some of its nouns replaced by other words.

    Copying is then easier to learn than knowing the questions by heart.
    """
    words = question.text.split()
    known = set(NOUNS)
    places = [i for i, w in enumerate(words) if re.sub(r"\W", "", w).lower().removesuffix("s") in known]
    long = [i for i, w in enumerate(words) if w.isalpha() and w.islower() and len(w) > 6]
    for i in rng.sample(places, min(len(places), 2)) + (
        rng.sample(long, 1) if long and rng.random() < 0.5 and question.category is None else []
    ):
        words[i] = re.sub(
            r"[a-zA-ZÀ-ÿ]+", rng.choice(WORDS if WORDS and rng.random() < 0.5 else NOUNS), words[i], count=1
        )
    text = " ".join(words)
    return (
        Question(text, question.category, verb_phrase(text), question.source)
        if text != question.text
        else question
    )


def recast(question: Question, rng: random.Random) -> Question:
    """A real question's verb phrase under another carrier."""
    phrase = question.phrase
    for yours, mine in (("your ", "my "), ("yourself", "myself")):
        phrase = phrase.replace(yours, mine)
    return Question(ask(phrase, rng), question.category, question.phrase, question.source)


def _labelled(texts: list[str], source: str) -> list[Question]:
    found = []
    for text in dict.fromkeys(" ".join(t.split()) for t in texts):
        category = label(text)
        if category is not None and len(text.split()) >= 3:
            found.append(Question(text, category, verb_phrase(text), source))
    return found
