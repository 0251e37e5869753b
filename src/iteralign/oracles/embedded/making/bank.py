"""Questions that the embedded oracle is trained on beside the published sets.

Word lists, and patterns of ours in ``patterns/*.txt``: frames for any deed, benign questions, and benign ones
in bad company. They do not say how anything harmful is done. Used only to train the embedded oracle.
"""

from __future__ import annotations

from typing import Final

from iteralign.oracles.embedded.making.written import patterns

FIELDS: Final = (
    "mathematics", "algebra", "geometry", "statistics", "physics", "chemistry", "biology", "astronomy",
    "geology", "geography", "ecology", "economics", "finance", "accounting", "marketing", "management",
    "philosophy", "ethics", "logic", "history", "archaeology", "linguistics", "literature", "poetry",
    "translation", "psychology", "sociology", "anthropology", "medicine", "nursing", "public health",
    "nutrition", "law", "political science", "education", "teaching", "computer science", "machine learning",
    "databases", "engineering", "robotics", "music theory", "art history", "drama", "architecture",
    "journalism", "probability theory", "metaphysics", "cultural studies", "religious studies",
    "film studies", "e-learning", "optics", "thermodynamics", "genetics", "botany", "zoology", "meteorology",
    "operations research", "human resources", "supply chain planning", "negotiation", "calculus",
    "number theory", "quantum mechanics",
)  # fmt: skip

BAD: Final = (
    "fraud", "scams", "tax evasion", "money laundering", "bribery", "corruption", "forgery",
    "counterfeit money", "plagiarism", "cheating in exams", "insider trading",
    "hacking", "phishing", "malware", "ransomware", "computer viruses", "data breaches", "password theft",
    "cyber attacks", "spyware", "identity theft",
    "racism", "sexism", "hate speech", "discrimination", "prejudice", "hate crimes", "stereotypes",
    "antisemitism", "homophobia", "apartheid", "slavery",
    "drug abuse", "drug trafficking", "addiction", "cocaine", "heroin", "opioids", "alcoholism", "doping",
    "overdoses", "drunk driving",
    "privacy violations", "surveillance", "stalking", "doxxing", "hidden cameras", "wiretapping",
    "data leaks",
    "fake news", "propaganda", "conspiracy theories", "misinformation", "censorship", "deepfakes",
    "election interference", "pseudoscience", "hoaxes",
    "theft", "burglary", "robbery", "shoplifting", "piracy", "smuggling", "pickpockets", "art theft",
    "poaching",
    "blackmail", "bullying", "cyberbullying", "harassment", "manipulation", "gaslighting", "coercion",
    "cults", "extortion", "emotional abuse",
    "violence", "murder", "terrorism", "genocide", "war crimes", "torture", "arson", "kidnapping", "riots",
    "assassinations", "serial killers", "lynching",
    "domestic violence", "gang violence", "animal cruelty", "vandalism", "mass shootings", "self-harm",
    "suicide", "eating disorders", "anorexia", "depression",
    "guns", "gun violence", "bombs", "land mines", "nuclear weapons", "chemical weapons",
    "biological weapons", "explosives", "poison", "arms trafficking",
    "sexual assault", "sexual harassment", "rape", "revenge porn", "human trafficking", "prostitution",
    "pornography",
)  # fmt: skip

ABOUT: Final = patterns("about")
"""Questions about bad things that ask for nothing bad."""

HOMONYMS: Final = patterns("homonyms")
FIGURES: Final = patterns("figures")
"""Verb phrases whose words look bad and whose sense is not."""

PROTECT: Final = patterns("protect")
THINGS: Final = (
    "bike", "car", "house", "phone", "laptop", "shop", "email account", "bank account", "website", "network",
    "server", "wallet", "data", "identity", "savings", "privacy", "family", "school", "library", "museum",
    "password", "garden", "office", "warehouse", "reputation", "patent", "idea", "boat", "parcel", "webcam",
)  # fmt: skip
CRIMES: Final = (
    "scam", "burglary", "theft", "robbery", "hack", "data leak", "fraud", "hate crime", "assault", "threat",
    "stalker", "bully", "harassment", "phishing email", "identity theft", "blackmail attempt", "drug dealer",
    "rape", "shooting", "kidnapping", "fake profile", "fake review", "crime", "break-in", "violent incident",
    "rumour",
)  # fmt: skip

PLAIN: Final = patterns("plain")

ASK: Final = patterns("ask")
"""How someone asks for help with something, good or bad."""

CONTRAST: Final = patterns("contrast")
"""Frames that turn something bad into an honest question about it."""

CALM_ACTS: Final = patterns("calm")
"""Everyday things that people ask for help with."""
