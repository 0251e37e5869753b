"""What the requests' things are: nouns with their class and use, groups with their features.

Plain school knowledge, written by us. Must not know carriers, answers and models.
"""

from __future__ import annotations

import re
from typing import Final


def _table(text: str) -> dict[str, tuple[str, str]]:
    """Noun -> (class, use). A row ``class: noun=use; noun=use`` begins at the margin and goes on indented."""
    found: dict[str, tuple[str, str]] = {}
    for row in re.split(r"\n(?! )", text):
        head, _, rest = row.partition(":")
        for cell in rest.split(";"):
            name, _, use = cell.strip().partition("=")
            if name:
                found[name] = (head, use)
    return found


NOUNS: Final = _table("""
tool: hammer=people use to drive nails; saw=people use to cut wood; drill=people use to make holes;
    kettle=people use to boil water; spade=people use to dig; rake=people use to gather leaves;
    ladder=people use to climb up; needle=people use to sew; brush=people use to paint;
    broom=people use to sweep the floor; ruler=people use to measure lines;
    compass=people use to find the way; corkscrew=people use to open bottles; whisk=people use to beat eggs;
    ladle=people use to serve soup; sieve=people use to strain flour; grater=people use to shred cheese;
    pump=people use to move water; lever=people use to lift things; pulley=people use to pull loads up;
    thermometer=people use to measure warmth; telescope=people use to see stars;
    microscope=people use to see tiny things; scale=people use to weigh things;
    anvil=people use to shape iron; chisel=people use to carve stone; wrench=people use to turn nuts
instrument: violin=people play with a bow; flute=people play by blowing; drum=people play with sticks;
    harp=people play by plucking; piano=people play with keys; trumpet=people play by blowing;
    guitar=people play by strumming; cello=people play with a bow; organ=people play with keys and pedals;
    banjo=people play by plucking; clarinet=people play by blowing; xylophone=people play with mallets
vehicle: bicycle=people ride with pedals; tram=people ride on rails; ferry=people take across water;
    tractor=people drive on fields; sledge=people pull over snow; canoe=people paddle on rivers;
    bus=people share on roads; balloon=people ride in the air; scooter=people ride on pavements;
    wagon=people load with goods; kayak=people paddle alone; glider=people fly without an engine
building: barn=people use to store hay; mill=people use to grind grain; lighthouse=people use to guide ships;
    library=people use to borrow books; museum=people use to show old things; chapel=people use to pray;
    dovecote=people use to keep doves; theatre=people use to show plays; bakery=people use to bake bread;
    greenhouse=people use to grow plants; windmill=people use to catch the wind;
    castle=people once used to live safely
piece of furniture: sofa=people use to sit together; shelf=people use to hold books;
    wardrobe=people use to keep clothes; bench=people use to rest; desk=people use to write;
    stool=people use to sit for a while; cupboard=people use to keep plates;
    hammock=people use to sleep outside; dresser=people use to keep linen
piece of clothing: scarf=people wear around the neck; glove=people wear on the hand;
    apron=people wear in the kitchen; cape=people wear over the shoulders; sandal=people wear in summer;
    beret=people wear on the head; cardigan=people wear when it is cool; raincoat=people wear when it rains;
    slipper=people wear at home; bonnet=people wear on the head
container: bucket=people use to carry water; basket=people use to carry fruit;
    barrel=people use to store wine; jar=people use to keep jam; vase=people use to hold flowers;
    suitcase=people use to pack clothes; flask=people use to keep drinks; crate=people use to move bottles;
    pouch=people use to keep coins; chest=people use to keep linen
plant: fern=grows in the shade; cactus=grows in dry places; tulip=grows from a bulb; oak=grows very old;
    ivy=climbs up walls; clover=grows in meadows; moss=grows on damp stones; birch=has white bark;
    thistle=has spines; daisy=grows on lawns
natural thing: comet=travels around the sun; volcano=rises where the ground opens;
    glacier=moves slowly down a valley; river=flows to the sea; planet=moves around a star;
    geyser=throws up hot water; crater=is left by a fall; rainbow=is seen after rain;
    tide=comes and goes with the moon; cloud=is made of drops; meteor=glows in the sky;
    galaxy=holds many stars; crystal=grows in a regular form; magnet=draws iron; fossil=is kept in stone;
    atom=is part of all things; lens=bends light; prism=parts light into colours
game: chess=two people play on a board; domino=people play with tiles; marbles=people play on the ground;
    billiards=people play with a cue; croquet=people play on a lawn; darts=people play with a round board;
    charades=people play without words; bingo=people play with numbers; hopscotch=people play on chalk lines
food: omelette=people make from eggs; porridge=people make from oats; cheese=people make from milk;
    pancake=people bake in a pan; waffle=people bake in an iron; noodle=people cook in water;
    jam=people make from fruit; biscuit=people bake in the oven; soup=people eat with a spoon;
    sausage=people fry or boil; pretzel=people bake in a knot; raisin=people dry in the sun
""")
SCIENCE: Final = (
    *(n for n, (group, _) in NOUNS.items() if group == "natural thing"), "thermometer", "telescope",
    "microscope", "lever", "pulley", "compass", "fern", "moss",
)  # fmt: skip

MEMBERS: Final[dict[str, str]] = {
    member: group
    for group, text in {
        "bird": (
            "sparrow robin eagle hawk owl crow raven swan stork penguin parrot pigeon duck goose hen turkey "
            "peacock ostrich heron finch magpie pelican"
        ),
        "fish": "trout salmon carp eel tuna cod herring pike perch sardine shark mackerel haddock halibut",
        "insect": "bee wasp ant beetle butterfly moth fly mosquito cricket grasshopper ladybird dragonfly",
        "mammal": (
            "whale dolphin bat cow horse pig sheep goat dog cat rabbit mouse fox wolf bear deer otter beaver "
            "seal lion tiger zebra camel kangaroo hedgehog badger"
        ),
        "reptile": "lizard snake turtle crocodile gecko viper tortoise chameleon iguana",
        "tree": "oak birch beech pine fir maple willow poplar cedar chestnut elm larch",
        "fruit": "apple pear plum cherry peach grape lemon orange banana mango melon fig apricot",
        "vegetable": "carrot cabbage leek onion spinach turnip radish celery pumpkin cauliflower",
        "metal": "iron copper gold silver tin zinc lead nickel",
        "planet": "Mars Venus Saturn Jupiter Neptune Mercury",
    }.items()
    for member in text.split()
}
FEATURES: Final[dict[str, tuple[str, str]]] = {
    "bird": ("feathers and a beak", "feathers"), "fish": ("gills and fins", "gills"),
    "insect": ("six legs", "six legs"), "mammal": ("warm blood and milk for its young", "warm blood"),
    "reptile": ("dry scales", "scales"), "tree": ("a trunk and branches", "a trunk"),
    "fruit": ("seeds and flesh", "seeds"), "vegetable": ("edible parts", "edible parts"),
    "metal": ("a shiny look and a firm form", "a shiny look"),
    "planet": ("a path around a star", "a path around a star"),
}  # fmt: skip
"""Group -> what all of it have, and the feature that a question asks after."""
MASS: Final = frozenset(
    {
        "iron",
        "copper",
        "gold",
        "silver",
        "tin",
        "zinc",
        "lead",
        "nickel",
        "Mars",
        "Venus",
        "Saturn",
        "Jupiter",
        "Neptune",
        "Mercury",
        "marbles",
        "billiards",
        "darts",
        "charades",
        "chess",
        "ivy",
        "moss",
        "clover",
        "croquet",
        "bingo",
        "hopscotch",
        "cheese",
        "porridge",
        "jam",
    }
)
"""Named without an article."""
ORDERS: Final[dict[str, tuple[str, str]]] = {
    "taller": ("tallest", "shortest"), "older": ("oldest", "youngest"), "faster": ("fastest", "slowest"),
    "heavier": ("heaviest", "lightest"), "stronger": ("strongest", "weakest"),
    "richer": ("richest", "poorest"), "louder": ("loudest", "quietest"), "happier": ("happiest", "saddest"),
    "braver": ("bravest", "shyest"), "busier": ("busiest", "idlest"),
    "wiser": ("wisest", "silliest"), "kinder": ("kindest", "sternest"), "calmer": ("calmest", "wildest"),
    "tidier": ("tidiest", "messiest"),
}  # fmt: skip
"""Comparative -> its superlative, and the opposite one."""
