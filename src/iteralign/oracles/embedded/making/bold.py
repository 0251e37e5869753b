"""Deeds that are bad whatever they are done to, and deeds that are fine.

Both share one list of people (``{one}``), things (``{it}``) and places (``{place}``), so that the embedded
oracle learns that the deed decides. The patterns are in ``patterns/bold-*.txt`` and ``patterns/fine.txt``.
Used only to train the embedded oracle.
"""

from __future__ import annotations

from typing import Final

from iteralign.oracles.embedded.making.written import by_category, patterns

PEOPLE: Final = (
    "nurse", "judge", "farmer", "waitress", "landlord", "teacher colleague", "cook", "singer", "journalist",
    "recruiter", "therapist", "doctor", "mayor", "neighbour", "coworker", "roommate", "boss", "manager",
    "client", "customer", "tourist", "cousin", "uncle", "aunt", "grandmother", "grandfather", "mother-in-law",
    "brother-in-law", "ex", "wife", "husband", "partner", "friend", "stranger", "widow", "pensioner",
    "student", "professor", "priest", "lawyer", "witness", "policeman", "guard", "driver", "pilot", "actor",
    "actress", "dancer", "painter", "barista", "cashier", "clerk", "secretary", "intern", "carpenter",
    "plumber", "gardener", "librarian", "officer", "soldier", "veteran", "tenant", "guest", "passenger",
    "colleague", "rival", "classmate", "team mate", "coach", "referee", "player", "investor", "banker",
    "voter", "politician", "candidate", "reporter", "blogger", "streamer", "singer's fan", "patient",
    "old man", "old woman", "family", "couple", "crowd", "group of friends", "village", "company", "dog",
    "cat", "horse", "bird",
)  # fmt: skip
THINGS: Final = (
    "camera", "laptop", "phone", "bicycle", "scooter", "motorbike", "camper", "van", "boat", "suitcase",
    "ticket", "passport", "diary", "letter", "email", "photo", "video", "song", "novel", "poem", "thesis",
    "essay", "report", "recipe", "soup", "salad", "cake", "cup of tea", "bottle of wine", "parcel", "package",
    "purse", "ring", "necklace", "watch", "painting", "statue", "map", "book", "film", "game", "website",
    "server", "database", "password", "account", "network", "printer", "router", "app", "door", "window",
    "lock", "key", "safe", "fence", "shed", "garage", "garden", "tree", "well", "field", "harvest", "bridge",
    "train", "bus", "ladder", "tool", "knife", "rope", "candle", "fire", "machine", "engine", "brake",
    "meter", "invoice", "contract", "will", "certificate", "diploma", "licence", "form", "survey", "study",
    "chart", "headline", "interview", "speech", "rumour", "story", "review", "advert", "medicine", "pill",
    "plant", "powder", "bottle", "mask", "coat", "shoe", "jacket", "blanket", "bed", "guitar", "drum",
    "piano", "ball", "kite", "tent", "lamp", "mirror", "sofa", "clock", "calendar",
)  # fmt: skip
PLACES: Final = (
    "stadium", "library", "museum", "restaurant", "salad bar", "marina", "station", "airport", "hotel",
    "hospital", "clinic", "school", "university", "office", "bank", "shop", "supermarket", "warehouse",
    "factory", "farm", "village", "town hall", "church", "mosque", "temple", "park", "beach", "gym",
    "theatre", "cinema", "concert", "festival", "market", "pharmacy", "garage", "cellar", "kitchen", "forest",
    "river", "lake", "mine", "prison", "court", "court house", "club", "bar", "café", "campsite", "motorway",
    "tunnel", "harbour", "bus stop", "train", "lift", "sauna", "changing room", "construction site",
    "power plant", "nursing home", "embassy", "castle",
)  # fmt: skip

BOLD: Final = by_category("bold")
"""Bad whatever it is done to."""

FINE: Final = patterns("fine")
"""Fine whatever it is done to."""
