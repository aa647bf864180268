"""Names of pictures: English nouns for what can be seen, said in one way whichever package they come from.

`renames.tsv` says what no rule can know: of each source, what a picture is called there and what it shows (nothing of
the kind that the pool holds where the last column is empty).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


def _read_renames() -> dict[tuple[str, str], str]:
    lines = (Path(__file__).parent / "renames.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines[1:]]
    return {(source, said): name for source, said, name in rows}


RENAMES = _read_renames()
"""What (source, as it is called there) shows; empty where it is not for the pool. Synonyms are of the source `any`."""

VISIBLE = {"05", "06", "08", "13", "17", "18", "19", "20"}
"""WordNet's files of animals, artifacts, body parts, food, natural objects, people, phenomena and plants."""

PLURAL = {
    "binoculars", "bus", "cactus", "chopsticks", "christmas", "fireworks", "french fries", "glasses", "goggles",
    "grapes", "headphones", "jeans", "lens", "lips", "maracas", "mars", "octopus", "overalls", "pants", "pliers",
    "santa claus", "saturn", "scales", "scissors", "shorts", "spaghetti", "sunglasses", "swiss", "tongs",
    "tweezers", "underpants", "uranus",
}  # fmt: skip
"""Nouns that end in s of one thing."""

JUNK = {
    "boom",
    "animal", "artifact", "back", "background", "black", "block", "border", "card", "cartoon", "clip art",
    "clipart", "creation", "decoration", "design", "drawing", "etiquette", "figure", "file", "frame", "front",
    "graphic", "head", "icon", "illustration", "image", "layer", "line", "logo", "man", "object", "one",
    "open clip art", "pattern", "people", "person", "picture", "road", "shape", "sign", "submission", "svg",
    "symbol", "template", "theme", "thing", "various cliparts", "vector", "web",
}  # fmt: skip
"""Titles that say nothing of what is seen."""

MODIFIERS = {
    "african", "angry", "basic", "big", "black", "blue", "brown", "christmas", "closed", "color", "colored",
    "coloured", "crazy", "cute", "electric", "european", "female", "flying", "folded", "funny", "garden",
    "generic", "golden", "gray", "green", "grey", "half", "huge", "indian", "large", "lit", "long", "male",
    "modern", "new", "old", "old-fashioned", "open", "pink", "plain", "plastic", "poisonous", "purple", "red",
    "round", "silver", "singing", "sitting", "sleeping", "sliced", "small", "soft", "stylized", "tall", "tiny",
    "toy", "white", "wild", "wooden", "yellow",
}  # fmt: skip
"""Words that a name loses where it is no noun of its own with them: `yellow lemon`, but not `polar bear`."""

GENERIC = {
    "baby", "block", "box", "boy", "bw", "can", "character", "couple", "face", "girl", "group", "head", "holder",
    "hole", "house", "man", "monster", "pane", "part", "person", "piece", "scene", "set", "stand", "top", "woman",
}  # fmt: skip
"""Words that do not stand for a longer name ending in them."""

_LEADING = re.compile(
    r"^(a couple of|a pair of|a bunch of|a string of|a head of|a quarter of|a|an|the|some|another|two|our|your|fresh"
    r"|sweet|very|happy|colorful|colourful|simple|little|cartoon|eat)\s+"
)
_ENDING = re.compile(r"[.!;:?—(,]| (is|are|was|were|resembles|lets|that|which|last|with|in|on|at|by) ")


@dataclass(frozen=True)
class Nouns:
    """WordNet's nouns."""

    files: Mapping[str, frozenset[str]]
    """The files (`05` are animals) of each noun's two most frequent senses."""
    irregular: Mapping[str, str]
    """Plurals that do not end in s, and their singulars."""

    def visible(self, name: str) -> str | None:
        """The longest ending of a name that is a noun for what can be seen and says enough, if any."""
        words = name.split()
        for start in range(len(words)):
            ending = " ".join(words[start:])
            if self.files.get(ending, frozenset()) & VISIBLE and not (start and ending in GENERIC):
                return ending
        return None

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
    files: dict[str, frozenset[str]] = {}
    for line in (folder / "index.noun").read_text(encoding="utf-8").splitlines():
        if not line.startswith(" "):
            fields = line.split()
            offsets = fields[-int(fields[2]) :]
            files[fields[0].replace("_", " ")] = frozenset(file_of[offset] for offset in offsets[:2])
    pairs = [line.split() for line in (folder / "noun.exc").read_text(encoding="utf-8").splitlines()]
    return Nouns(files, {pair[0].replace("_", " "): pair[1].replace("_", " ") for pair in pairs})


def clean_name(text: str, nouns: Nouns) -> str | None:
    """The name in a title, file name or sentence, or None where there is none of at most three words."""
    name = re.sub(r"[_\s]+", " ", text).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").strip()
    name = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", name).lower()
    name = re.sub(r"[\"“”*]", "", name)
    name = _ENDING.split(name, maxsplit=1)[0]
    name = re.sub(r"\s*#?\d+$", "", name).strip()
    while (shorter := _LEADING.sub("", name)) != name:
        name = shorter
    name = nouns.singular(RENAMES.get(("any", name), name))
    name = RENAMES.get(("any", name), name)
    first, _, rest = name.partition(" ")
    if name not in nouns.files and first in MODIFIERS and rest:
        return clean_name(rest, nouns)
    if not re.fullmatch(r"[a-z][a-z' -]{2,28}", name) or len(name.split()) > 3:
        return None
    return None if name in JUNK else name
