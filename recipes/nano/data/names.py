"""Names of pictures: English nouns for what can be seen, said in one way whichever package they come from."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

VISIBLE = {"05", "06", "08", "13", "17", "18", "19", "20"}
"""WordNet's files of animals, artifacts, body parts, food, natural objects, people, phenomena and plants."""

SYNONYMS = {
    "aeroplane": "airplane",
    "plane": "airplane",
    "american football": "football",
    "automobile": "car",
    "auto": "car",
    "baby chick": "chick",
    "baguette bread": "baguette",
    "balance scale": "scales",
    "banana fruit": "banana",
    "bicycle": "bike",
    "billed cap": "cap",
    "bulb": "light bulb",
    "lightbulb": "light bulb",
    "bunny": "rabbit",
    "bunny rabbit": "rabbit",
    "carpentry saw": "saw",
    "cellphone": "mobile phone",
    "cell phone": "mobile phone",
    "cheese wedge": "cheese",
    "chequered flag": "checkered flag",
    "chile pepper": "chili pepper",
    "hot pepper": "chili pepper",
    "cob of corn": "corn",
    "ear of corn": "corn",
    "maize": "corn",
    "computer monitor": "monitor",
    "cooked rice": "rice",
    "bowl of rice": "rice",
    "donut": "doughnut",
    "electric plug": "plug",
    "eye glasses": "glasses",
    "eyeglasses": "glasses",
    "spectacles": "glasses",
    "fire truck": "fire engine",
    "firetruck": "fire engine",
    "fireman": "firefighter",
    "gem stone": "diamond",
    "gemstone": "diamond",
    "gift": "present",
    "wrapped gift": "present",
    "gravestone": "headstone",
    "tombstone": "headstone",
    "hand bag": "handbag",
    "hand saw": "saw",
    "headphone": "headphones",
    "hippo": "hippopotamus",
    "honey bee": "bee",
    "honeybee": "bee",
    "hot air balloon": "balloon",
    "jack o lantern": "jack-o-lantern",
    "jackolantern": "jack-o-lantern",
    "kiwi fruit": "kiwi",
    "lady beetle": "ladybug",
    "lady bug": "ladybug",
    "ladybird": "ladybug",
    "laptop computer": "laptop",
    "motor bike": "motorcycle",
    "motorbike": "motorcycle",
    "ocean liner": "ship",
    "passenger ship": "ship",
    "padlock": "lock",
    "locked": "lock",
    "paint brush": "paintbrush",
    "pair of scissors": "scissors",
    "patrol car": "police car",
    "policeman": "police officer",
    "rhino": "rhinoceros",
    "sail boat": "sailboat",
    "soccerball": "soccer ball",
    "sun glasses": "sunglasses",
    "t shirt": "t-shirt",
    "tshirt": "t-shirt",
    "television set": "television",
    "tv": "television",
    "tea pot": "teapot",
    "tooth brush": "toothbrush",
    "trash can": "wastebasket",
    "water melon": "watermelon",
    "water pistol": "water gun",
    "wineglass": "wine glass",
    "glass of wine": "wine glass",
    "xmas tree": "christmas tree",
}
"""One name for what has several."""

PLURAL = {"glasses", "sunglasses", "scissors", "pliers", "binoculars", "headphones", "jeans", "shorts", "scales"} | {
    "tongs", "goggles", "fireworks", "french fries", "maracas", "spaghetti", "tweezers", "chopsticks", "grapes"
}  # fmt: skip
"""Nouns that are said in the plural of one thing."""

JUNK = {"artifact", "clipart", "clip art", "creation", "icon", "image", "layer", "logo", "picture", "submission"} | {
    "card", "design", "drawing", "figure", "graphic", "illustration", "object", "sign", "symbol", "template", "thing",
    "animal", "people", "person", "vector", "shape", "web", "file", "line", "border", "frame", "pattern", "black",
    "block", "cartoon", "head", "man", "one", "background", "open clip art", "front", "back", "decoration", "theme",
}  # fmt: skip
"""Titles that say nothing of what is seen."""

_LEADING = re.compile(
    r"^(a couple of|a pair of|a bunch of|a string of|a head of|a quarter of|a|an|the|some|another|two|our|your|fresh"
    r"|sweet|very|happy|colorful|colourful|simple|little|cartoon|eat)\s+"
)
_ENDING = re.compile(r"[.!;:?—(,]| is | are | was | were | resembles| lets| that| which| last| with | in | on | at | by ")


@dataclass(frozen=True)
class Nouns:
    """WordNet's nouns."""

    files: Mapping[str, str]
    """Each noun's file (`05` are animals) of its most frequent sense."""
    irregular: Mapping[str, str]
    """Plurals that do not end in s, and their singulars."""

    def is_visible(self, name: str) -> bool:
        """Whether a name means a thing that can be seen: itself, or else its last word."""
        return self.files.get(name, self.files.get(name.split()[-1])) in VISIBLE

    def singular(self, name: str) -> str:
        """The name with its last word in the singular, where that is a noun."""
        if name in PLURAL or name.split()[-1] in PLURAL:
            return name
        *first, word = name.split()
        if word in self.irregular:
            return " ".join([*first, self.irregular[word]])
        if not word.endswith("s") or word.endswith("ss"):
            return name
        for old, new in (("ies", "y"), ("ches", "ch"), ("shes", "sh"), ("xes", "x"), ("sses", "ss"), ("s", "")):
            if word.endswith(old) and word[: -len(old)] + new in self.files:
                return " ".join([*first, word[: -len(old)] + new])
        return name


def read_nouns(folder: Path) -> Nouns:
    """The nouns in a folder of WordNet 3.0's files."""
    file_of = {}
    for line in (folder / "data.noun").read_text(encoding="utf-8").splitlines():
        if not line.startswith(" "):
            offset, file, _ = line.split(" ", 2)
            file_of[offset] = file
    files = {}
    for line in (folder / "index.noun").read_text(encoding="utf-8").splitlines():
        if not line.startswith(" "):
            fields = line.split()
            offsets = fields[-int(fields[2]) :]
            files[fields[0].replace("_", " ")] = file_of[offsets[0]]
    pairs = [line.split() for line in (folder / "noun.exc").read_text(encoding="utf-8").splitlines()]
    return Nouns(files, {pair[0].replace("_", " "): pair[1].replace("_", " ") for pair in pairs})


def clean_name(text: str, nouns: Nouns) -> str | None:
    """The name in a title, file name or sentence, or None where there is none of at most three words."""
    name = re.sub(r"[_\s]+", " ", text).replace("’", "'").strip()
    name = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", name).lower()
    name = re.sub(r"[\"“”*]", "", name)
    name = _ENDING.split(name)[0]
    name = re.sub(r"\s*#?\d+$", "", name).strip()
    while (shorter := _LEADING.sub("", name)) != name:
        name = shorter
    if not re.fullmatch(r"[a-z][a-z' -]{1,28}", name) or len(name.split()) > 3:
        return None
    name = SYNONYMS.get(name, name)
    name = nouns.singular(name)
    name = SYNONYMS.get(name, name)
    return None if name in JUNK or len(name) < 3 else name
