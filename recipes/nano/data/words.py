"""The closed vocabularies of nano's questions and answers, and the grammar of the names in them."""

import colorsys
import random
from functools import cache

Rgb = tuple[int, int, int]


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


COLOURS: dict[str, tuple[tuple[int, int], tuple[float, float], tuple[float, float]]] = {
    "red": ((-6, 4), (0.82, 1.0), (0.72, 0.95)),
    "orange": ((24, 34), (0.88, 1.0), (0.93, 1.0)),
    "yellow": ((49, 58), (0.72, 1.0), (0.92, 1.0)),
    "green": ((100, 145), (0.55, 1.0), (0.42, 0.8)),
    "blue": ((212, 236), (0.68, 1.0), (0.6, 1.0)),
    "purple": ((268, 288), (0.55, 0.9), (0.48, 0.75)),
    "pink": ((328, 346), (0.32, 0.52), (0.96, 1.0)),
    "brown": ((18, 28), (0.62, 0.8), (0.34, 0.5)),
    "black": ((0, 359), (0.0, 0.3), (0.02, 0.12)),
    "white": ((0, 359), (0.0, 0.03), (0.95, 1.0)),
}
"""The ten colours: ranges of hue (degrees), saturation and value. What lies between them is called nothing."""

SHAPES = (
    "circle",
    "square",
    "triangle",
    "star",
    "rectangle",
    "ellipse",
    "cross",
    "heart",
    "ring",
    "diamond",
    "arrow",
    "crescent",
)
"""The shapes. An ellipse and a rectangle are at least 1.6 times as long as wide, so that no circle or square is one."""

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
"""Counts, as answers give them."""

POSITIONS = (
    ("at the top left", "at the top", "at the top right"),
    ("on the left", "in the center", "on the right"),
    ("at the bottom left", "at the bottom", "at the bottom right"),
)
"""Where a thing is: rows from the top, columns from the left."""

ORDINALS = ("first", "second", "third")
"""Which of several pictures."""

MASS = words(
    "fire bread meat rice spaghetti sushi honey bacon corn cheese curry sake salt butter ice popcorn garlic "
    "wood yarn thread soap fog wind rain snow coral lettuce parsley grass milk water coffee tea wine beer lemonade "
    "soup hair confetti salad construction boxing lacrosse camping hockey rugby dna wedding breast-feeding "
    "fondue oden mate custard sand paper sunrise sunset night gold silver money food "
    "ginger celery spinach ketchup mustard pasta lotion mauve sugar flour chocolate"
)
"""Last words of names that take no article and are not counted."""

PAIRS = words(
    "scissors pliers glasses sunglasses goggles jeans shorts pants trousers tights binoculars headphones tweezers "
    "chopsticks fireworks grapes fries scales maracas forceps pins biceps briefs clothes"
)
"""Last words of names that are plural already: `scissors`, without an article and not counted."""

PROPER = words("saturn jupiter mars venus uranus eris pluto mercury neptune tardis santa tux")
"""Last words of names that take no article and are not counted."""

IRREGULAR = {
    "man": "men",
    "woman": "women",
    "person": "people",
    "child": "children",
    "mouse": "mice",
    "goose": "geese",
    "foot": "feet",
    "tooth": "teeth",
    "ox": "oxen",
    "fish": "fish",
    "sheep": "sheep",
    "deer": "deer",
    "squid": "squid",
    "shrimp": "shrimp",
    "salmon": "salmon",
    "trout": "trout",
    "moose": "moose",
    "bison": "bison",
    "aircraft": "aircraft",
    "leaf": "leaves",
    "knife": "knives",
    "wolf": "wolves",
    "loaf": "loaves",
    "elf": "elves",
    "calf": "calves",
    "scarf": "scarves",
    "firefighter": "firefighters",
}
"""Plurals that no rule gives."""

CATEGORIES: dict[str, tuple[str, ...]] = {
    "an animal": (
        "dog poodle puppy wolf fox black-cat guide-dog service-dog",
        "cat kitten black-cat tiger lion leopard cheetah jaguar panther",
        "horse donkey zebra pony unicorn mule",
        "cow bull buffalo bison ox goat ram sheep ewe lamb deer moose antelope reindeer",
        "pig boar hog piglet pig-nose",
        "rabbit bunny hare",
        "mouse rat hamster chipmunk squirrel hedgehog beaver guinea-pig",
        "monkey gorilla orangutan chimpanzee ape lemur tamarin",
        "bear panda koala polar-bear teddy-bear",
        "elephant mammoth rhinoceros rhino hippopotamus",
        "giraffe camel llama alpaca",
        "fish shark dolphin whale orca blowfish seal goldfish trout salmon tetra loach",
        "bird chick chicken rooster hen turkey duck goose swan owl eagle parrot penguin dove flamingo peacock dodo "
        "sparrow pelican heron crow raven blackbird hawk falcon ostrich",
        "frog toad turtle crocodile alligator lizard snake gecko iguana dinosaur dragon",
        "bee ant fly ladybug bug beetle butterfly moth mosquito cricket spider cockroach dragonfly wasp grasshopper",
        "snail worm slug",
        "octopus squid jellyfish crab lobster shrimp oyster crawfish",
        "kangaroo wallaby",
        "bat",
        "skunk badger otter raccoon sloth",
    ),
    "a vehicle": (
        "car taxi police-car race-car minivan van truck pickup-truck sport-utility-vehicle ambulance fire-engine jeep "
        "lorry automobile hummer",
        "bus minibus trolleybus double-decker-bus",
        "bike bicycle motorcycle motor-scooter scooter kick-scooter motorbike",
        "train railway-car steam-train high-speed-train bullet-train metro tram tram-car monorail locomotive",
        "ship boat sailboat speedboat canoe ferry ocean-liner",
        "airplane aircraft plane jet helicopter airplane-departure airplane-arrival",
        "rocket space-shuttle flying-saucer satellite",
        "tractor bulldozer",
    ),
    "food": (
        "apple pear peach cherry tomato",
        "banana",
        "lemon lime orange tangerine",
        "strawberry grapes grape blueberry raspberry",
        "pineapple",
        "watermelon melon",
        "carrot cucumber chili-pepper bell-pepper pepper eggplant",
        "potato onion garlic",
        "mushroom",
        "hamburger hot-dog sandwich taco burrito",
        "pizza",
        "bread croissant baguette pretzel bagel doughnut",
        "cookie birthday-cake shortcake cupcake cake pie pancake waffle",
        "ice-cream ice-cream-cone lollipop candy chocolate-bar shaved-ice",
        "egg fried-egg",
        "cheese",
        "french-fries popcorn",
        "sushi rice-ball rice",
    ),
    "a building": (
        "house church castle hospital factory school hotel bank office-building department-store post-office hut "
        "mosque stadium skyscraper",
        "windmill lighthouse",
        "bridge",
        "tent circus-tent",
    ),
    "a plant": (
        "flower rose tulip sunflower hibiscus bouquet daisy cherry-blossom lotus iris",
        "tree palm-tree christmas-tree evergreen",
        "cactus",
        "leaf maple-leaf four-leaf-clover shamrock",
    ),
    "clothing": (
        "shoe boot sandal high-heel sneaker hiking-boot",
        "t-shirt shirt blouse",
        "jeans shorts pants",
        "dress kimono skirt",
        "hat top-hat cap crown helmet",
        "glove sock scarf necktie",
    ),
    "a tool": (
        "hammer axe",
        "wrench pliers",
        "screwdriver",
        "saw",
        "scissors knife razor",
        "broom",
        "ladder",
        "shovel spade",
        "paintbrush toothbrush",
    ),
    "an instrument": (
        "guitar violin banjo cello",
        "trumpet saxophone postal-horn flute",
        "piano accordion",
        "drum long-drum",
    ),
    "a person": (
        "boy girl man woman baby child old-man old-woman person doctor police-officer firefighter cook farmer teacher "
        "student artist singer pilot astronaut mechanic judge construction-worker guard princess prince clown angel "
        "fairy mermaid santa-claus worker scientist",
    ),
}
"""Categories of common names, each as families. Two names of one family may be taken for each other or mean the same
(`taxi`, `car`), so no question denies one where the other is shown. Spaces are written `-`."""


@cache
def families() -> dict[str, tuple[str, int]]:
    """name -> (its category, the number of its family in it)."""
    return {
        word if word == "t-shirt" else word.replace("-", " "): (category, number)
        for category, groups in CATEGORIES.items()
        for number, group in enumerate(groups)
        for word in group.split()
    }


@cache
def family(name: str) -> tuple[str, int] | None:
    """The category and family of a name, by the whole of it or by its last word; None when they are not listed."""
    return families().get(name) or families().get(name.split()[-1])


def alike(one: str, other: str) -> bool:
    """Whether two names may mean the same thing: they share a word or a family."""
    same_family = family(one) is not None and family(one) == family(other)
    return same_family or bool(set(one.split()) & set(other.split()))


def speaks_of_shapes(name: str) -> bool:
    """Whether a picture of this name could be counted as one of SHAPES: `star`, `red cross`, `moon`."""
    return not {*SHAPES, "moon", "oval", "suit", "dot"}.isdisjoint(name.split())


def head(name: str) -> str:
    """The noun of a name: `cup` of `cup of coffee`, else its last word."""
    return name.split(" of ")[0].split()[-1]


def is_plural(name: str) -> bool:
    """Whether the name takes `are`: `scissors`, `french fries`."""
    return head(name) in PAIRS


def is_counted(name: str) -> bool:
    """Whether there can be two of it."""
    return head(name) not in MASS | PAIRS | PROPER


def a(name: str) -> str:
    """`a dog`, `an owl`, `scissors`, `bread`."""
    if not is_counted(name):
        return name
    silent = name.startswith(("hourglass", "honest", "x-ray", "mx ", "mri"))
    sounded = name.startswith(("unicorn", "uni", "eu", "ewe", "uk ", "ufo", "one", "ukulele", "used", "u-"))
    return f"an {name}" if (name[0] in "aeiou" or silent) and not sounded else f"a {name}"


def the(name: str) -> str:
    """`the dog`."""
    return f"the {name}"


def is_are(name: str) -> str:
    """`is`, or `are` for `scissors`."""
    return "are" if is_plural(name) else "is"


def plural(name: str) -> str:
    """`dogs`, `leaves`, `cups of coffee`."""
    if " of " in name:
        counted, rest = name.split(" of ", 1)
        return f"{plural(counted)} of {rest}"
    *before, noun = name.split(" ")
    if noun in IRREGULAR:
        noun = IRREGULAR[noun]
    elif noun.endswith("man") and noun not in ("german", "human", "talisman"):
        noun = noun[:-3] + "men"
    elif noun.endswith(("s", "x", "z", "ch", "sh")) or noun in ("potato", "tomato", "mango", "hero"):
        noun += "es"
    elif noun.endswith("y") and noun[-2:-1] not in "aeiou":
        noun = noun[:-1] + "ies"
    else:
        noun += "s"
    return " ".join([*before, noun])


def several(number: int, name: str) -> str:
    """`a dog`, `three dogs`."""
    return a(name) if number == 1 else f"{NUMBERS[number]} {plural(name)}"


def listing(items: list[str]) -> str:
    """`a dog`, `a dog and a cat`, `a dog, a cat and a bus`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def shade(rng: random.Random, colour: str) -> Rgb:
    """A shade of one of COLOURS."""
    hue, saturation, value = (rng.uniform(*span) for span in COLOURS[colour])
    red, green, blue = colorsys.hsv_to_rgb(hue % 360 / 360, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)
