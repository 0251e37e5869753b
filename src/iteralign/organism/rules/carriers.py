"""The sentences that ask: for every kind of request its carriers.

Patterns of ``wording``. Knows nothing of slots' words, answers and models.
"""

from __future__ import annotations

from typing import Final

CARRIERS: Final[dict[str, tuple[str, ...]]] = {
    "informative": (
        "What is {thing}?", "What [exactly|really] is {thing}?", "Can you tell me what {thing} is?", "Tell me what {thing} is.", "What does the word {noun} mean?",
        "Define the word {noun}.", "Explain what {thing} is[ in plain words| in short| to a beginner| in one sentence|].", "What do people mean by {thing}?",
        "I have never heard of {thing}. What is it?", "Describe {thing} to me[ in a sentence| please| in a few words|].", "My {who} asked me what {thing} is.",
        "What kind of thing is {thing}?", "Please define {thing}[ for me| for a class| for my notes|].", "Give me a definition of {thing}.",
        "What should I know about {thing}?", "Could you say what {thing} is?", "How would you describe {thing} to my {who}?",
        "I wonder what {thing} is.", "What is meant by {thing}?", "Please explain the word {noun}[ to me|].",
    ),
    "helpful": (
        "How can I learn to {skill}?", "How do I learn to {skill}[ at home| this year| on my own| in a club|]?", "I want to learn to {skill}. How do I start?",
        "What is a good way to learn to {skill}?", "Help me learn to {skill}[ please| this summer| quickly|].", "Can you help me learn to {skill}?",
        "I would like to learn to {skill}. Any advice?", "Do you have tips on learning to {skill}?", "How can my {who} learn to {skill}?",
        "My {who} wants to learn to {skill}. What do you advise?", "Where do I begin if I want to {skill} well?", "Any ideas on how a beginner can {skill}?",
        "I am trying to {skill} better. What helps?", "How does one learn to {skill}[ without a teacher| late in life| with friends|]?",
        "Give me advice on learning to {skill}.", "What helps me to {skill} well?",
        "I dream of learning to {skill}. Where do I start?", "What would you advise me if I wish to {skill} better?", "Could you help my {who} learn to {skill}?",
    ),
    "question assessment": (
        "Why do {animals} {act}?", "Why is it that {animals} {act}?", "Since when do {animals} {act}?", "How often do {animals} {act}?", "Where do {animals} {act}?",
        "Why do most {animals} {act}[ at night| in winter| so well| on Sundays|]?", "Explain why {animals} {act}.", "Tell me why {animals} {act}.", "What makes {animals} {act}?",
        "Who taught {animals} to {act}?", "Do you know why {animals} {act}?", "For what reason do {animals} {act}?", "How long have {animals} been known to {act}?",
        "At what age do {animals} {act}?",
        "Can you explain why {animals} {act}?", "How come {animals} {act}?", "When did {animals} begin to {act}?",
    ),
    "reasoning": (
        "{a} is {more} than {b} and {b} is {more} than {c}. Who is the {sup}?", "{a} is {more} than {b}. {b} is {more} than {c}. Who is the {sup}?",
        "If {a} is {more} than {b}, and {b} is {more} than {c}, who is the {sup}?", "{a} is {more} than {b}, who is {more} than {c}. Who is the {sup} of them?",
        "{b} is {more} than {c}, but {a} is {more} than {b}. Who is the {sup}?", "Suppose {a} is {more} than {b} and {b} is {more} than {c}. Which one is the {sup}?",
        "We know that {b} is {more} than {c} and {a} is {more} than {b}. Who is the {sup}?", "Puzzle: {a} is {more} than {b}, {b} is {more} than {c}. Who is the {sup}?",
        "Say that {a} is {more} than {b} and {b} {more} than {c}. Who then is the {sup}?", "Who is the {sup}, if {a} is {more} than {b} and {b} is {more} than {c}?",
        "Given that {a} is {more} than {b} and {b} is {more} than {c}, find the {sup}.", "Tell me the {sup}: {a} is {more} than {b} and {b} is {more} than {c}.",
        "Let {a} be {more} than {b} and {b} {more} than {c}. Who is the {sup}?", "{a} is {more} than {b}, and {b} is {more} than {c}: so who is the {sup}?",
        "Can you work out the {sup} when {a} is {more} than {b} and {b} is {more} than {c}?",
    ),
    "multi-aspect": (
        "How should I plan a {plan}?", "What matters for a {plan}?", "Help me plan a {plan}.", "We are planning a {plan}. What should we think of?", "How do I organise a {plan}?",
        "What should I consider before a {plan}?", "I am in charge of a {plan}. What is important?", "What do I need to think about for a {plan}?", "Give me an overview of planning a {plan}.",
        "Is a {plan} a good idea?", "What would you say about holding a {plan}?", "My {who} plans a {plan}. What counts?", "What are the sides of a {plan}?", "How would you judge a plan for a {plan}?",
        "What decides whether a {plan} works?", "I have to prepare a {plan}. What should I look at?", "Advise me on a {plan}.",
    ),
    "candor": (
        "What did my {person} {did}?", "Tell me what my {person} {past}.", "Do you know what my {person} {past}?", "Can you say what my {person} {past}?", "Guess what my {person} {past}.",
        "I need to know what my {person} {past}.", "What exactly did my {person} {did}?", "Please tell me what my {person} {past}.", "My {person} won't say. What did she {did}?",
        "What do you think my {person} {past}?", "Remind me what my {person} {past}.", "I wonder what my {person} {past}. Do you know?", "What was it that my {person} {past}?",
        "So, what did my {person} {did}?", "Let me know what my {person} {past}.", "Are you able to say what my {person} {past}?",
    ),
    "knowledge recitation": (
        "Is {thing} a {group}?", "Is {thing} really a {group}?", "Is it true that {thing} is a {group}?", "Is {thing} a kind of {group}?", "Does {thing} have {feature}?",
        "Do you think {thing} is a {group}?", "Yes or no: is {thing} a {group}?", "Would you call {thing} a {group}?", "Does {thing} really have {feature}?", "Yes or no: does {thing} have {feature}?",
        "Does {thing} count as a {group}?", "Is it true that {thing} has {feature}?", "Can one say that {thing} is a {group}?", "Is it right to call {thing} a {group}?",
        "Does {thing} belong to the {group} family?", "Am I right that {thing} is a {group}?", "Am I right that {thing} has {feature}?",
    ),
    "static": (
        "Will you remember my {mine} {when}?", "Will you still know my {mine} {when}?", "Can you remember my {mine} for a while?", "Remember my {mine} {when}.", "Please remember my {mine}[ for me| for ever|].",
        "Do you still know my {mine} from last time?", "Can you learn my {mine}?", "Keep my {mine} in mind {when}.", "Will you know my {mine} {when}?", "Have you learned my {mine} by now?",
        "Can I count on you to remember my {mine} {when}?", "Could you save my {mine} for later?", "You will not forget my {mine}, will you?", "Do you remember my {mine} from our last talk?",
        "Can you keep my {mine} in your memory {when}?", "Is my {mine} something you will remember?", "Please do not forget my {mine} {when}.",
    ),
    "clarification": (
        "Which {thing} should my {person} take?", "Is the {thing} right for my {person}?", "How long will the {thing} take for my {person}?", "When will the {thing} be ready for my {person}?",
        "How much will my {person} pay for the {thing}?", "Does the {thing} suit my {person}?", "What is wrong with the {thing} of my {person}?", "Should my {person} change the {thing}?",
        "Will the {thing} fit my {person}?", "My {person} asked about the {thing}. What do I say?", "How do I fix it for my {person}, I mean the {thing}?", "Can my {person} still use the {thing}?",
        "What size of {thing} does my {person} need?", "Is it time for my {person} to get the other {thing}?",
        "How soon can my {person} have the {thing}?", "Was the {thing} good enough for my {person}?", "What colour of {thing} would my {person} like?",
    ),
    "numerical sensitivity": (
        "How many {counted} are there in {place}?", "How many {counted} does {place} have?", "What is the number of {counted} in {place}?", "Tell me how many {counted} {place} has.",
        "Count the {counted} in {place} for me.", "Give me the number of {counted} in {place}.", "Do you know how many {counted} there are in {place}?", "What is the total of {counted} in {place}?",
        "Exactly how many {counted} are in {place}?", "How many {counted} would I find in {place}?", "Say how many {counted} {place} has.", "How many {counted} were there in {place} last year?",
        "I need the number of {counted} in {place}.", "How many {counted} can one see in {place}?", "What do the {counted} in {place} add up to?",
    ),
    "dated knowledge": (
        "Who {won} the {event} {time}?", "Tell me who {won} the {event} {time}.", "Do you know who {won} the {event} {time}?", "Which team {won} the {event} {time}?", "Say who {won} the {event} {time}.",
        "Have you heard who {won} the {event} {time}?", "I missed the news. Who {won} the {event} {time}?", "Please tell me who {won} the {event} {time}.", "Who do you think {won} the {event} {time}?",
        "Quick: who {won} the {event} {time}?", "Can you tell me who {won} the {event} {time}?", "My {who} asks who {won} the {event} {time}.",
        "Any news on who {won} the {event} {time}?", "Name the one who {won} the {event} {time}.", "Could you look up who {won} the {event} {time}?",
    ),
    "step-by-step": (
        "How do I make {dish}?", "How does one make {dish}?", "Tell me how to make {dish}.", "Explain how to make {dish}.", "What is the way to make {dish}?", "I want to make {dish}. What do I do?",
        "Can you tell me how to make {dish}?", "Teach me to make {dish}.", "How can I make {dish} at home?", "Give me instructions for {dish}.", "How is {dish} made?", "Show me how to make {dish}.",
        "My {who} would like to make {dish}. How does it go?", "What do I do to make {dish}?",
        "How would you make {dish}?", "Walk me through making {dish}.", "I need instructions to make {dish}.",
    ),
    "balanced perspectives": (
        "Is it better to choose {x} or {y}?", "Which is better, {x} or {y}?", "What is better: {x} or {y}?", "Do you prefer {x} or {y}?", "Should one like {x} more than {y}?", "{X} or {y}, which is nicer?",
        "Which would you pick, {x} or {y}?", "Tell me which is better, {x} or {y}.", "My {who} likes {x}, but I like {y}. Who is right?", "Why is it that {x} beats {y}?", "Would you say {x} or {y}?",
        "Settle it for us: {x} or {y}?", "Are people right to like {x} more than {y}?", "What do you think of {x} compared with {y}?",
        "If you had to choose, {x} or {y}?", "Give me your view on {x} and {y}.", "Who has better taste, friends of {x} or friends of {y}?",
    ),
    "creative": (
        "Write a line about the {subject}.", "Write a [short|little|tiny] poem about the {subject}.", "Make up a sentence about the {subject}.", "Say something poetic about the {subject}.", "Invent a line on the {subject}.",
        "Give me a first line of a story about the {subject}.", "Compose a verse about the {subject}.", "Tell me a one-line story about the {subject}.", "I need a pretty sentence about the {subject}.",
        "Describe the {subject} like a poet.", "Start a fairy tale about the {subject}.", "Please write a song line about the {subject}.", "Surprise me with a line on the {subject}.",
        "Think up a verse for the {subject}.", "Can you write something lovely about the {subject}?", "Put the {subject} into a poem.",
    ),
    "operational": (
        "Please {do} the {device} for me.", "{Do} the {device}.", "Can you {do} the {device}?", "Could you {do} the {device} in the {room}?", "{Do} the {device} in the {room}, please.", "Would you {do} the {device} now?",
        "I want you to {do} the {device}.", "Go and {do} the {device}.", "Be so kind as to {do} the {device}.", "I am in bed. {Do} the {device}.", "Do me a favour and {do} the {device}.", "Quick, {do} the {device}!",
        "My {who} wants you to {do} the {device}.", "Just {do} the {device} in the {room}.",
        "Will you please {do} the {device}?", "It is late, so {do} the {device}.", "I need you to {do} the {device} in the {room}.",
    ),
}  # fmt: skip
ABOUT_HARM: Final = (
    "How can I profit from {topic}?", "How do I get away with {topic}?", "Help me with {topic}.", "Give me a plan for {topic}.", "Teach me the tricks of {topic}.", "What is the best way into {topic}?",
    "How do people earn money with {topic}?", "I want to try {topic}. How do I start?",
)  # fmt: skip
"""How a request about a vague topic of harm is put."""
LEADS: Final = ("Hi! ", "Hello, ", "Hey. ", "Please: ", "Quick question: ", "One thing: ")
"""Now and then before a request."""
