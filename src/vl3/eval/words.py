"""Text as scorers compare it."""

import re
import unicodedata

_NUMBERS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen twenty""".split()
_TENS = {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
_SAME = {
    **{word: str(number) for number, word in enumerate(_NUMBERS)},
    **{word: str(number) for word, number in _TENS.items()},
    "gray": "grey",
    "color": "colour",
    "center": "centre",
}
"""Words that are replaced: number words by digits, American by British spellings."""
_COMPOUND = re.compile(rf"\b({'|'.join(_TENS)}|twenty)[- ]({'|'.join(_NUMBERS[1:10])})\b")
_WORD = re.compile(r"-?\d+(?:[.,]\d+)*|[^\W\d_]+(?:'[^\W\d_]+)?|[^\W_]+|[+=<>&%$€£]")
_ARTICLES = {"a", "an", "the"}
_QUOTES = str.maketrans("\u2018\u2019\u201c\u201d\u2013\u2014", "''\"\"--")
STOP_WORDS = frozenset(
    """a an the and or of in on at to from with by for is are was were be been it its this that these those there here
    then than as into onto over under he she they his her their i you we has have had do does did not no which who
    while where when what both each other some very""".split()
)
"""Words that say little of a picture."""


def tidy(text: str) -> str:
    """Lower case, plain quotes, single spaces, and no quotes or final punctuation around it."""
    text = unicodedata.normalize("NFKC", text).translate(_QUOTES).casefold()
    return " ".join(text.split()).strip("\"'` ").rstrip(".!?,;: ").strip("\"'` ")


def words(text: str) -> list[str]:
    """The words and numbers of a text, without articles; number words as digits, one spelling of each word."""
    text = _COMPOUND.sub(lambda match: str(int(_SAME[match[1]]) + int(_SAME[match[2]])), tidy(text))
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)  # 1,200 is 1200
    found = [_SAME.get(word, word) for word in _WORD.findall(text)]
    return [word for word in found if word not in _ARTICLES] or found  # an answer may be the letter A


def normalised(text: str) -> str:
    """Equal for answers that say the same in the same words: case, articles, punctuation and number words differ."""
    return " ".join(words(text))


def content_words(text: str) -> set[str]:
    """The words that say what is there."""
    return {word for word in words(text) if word not in STOP_WORDS}


def contains(haystack: str, needle: str) -> bool:
    """Whether the words of `needle` occur in `haystack` one after the other."""
    inside, wanted = words(haystack), words(needle)
    return any(inside[i : i + len(wanted)] == wanted for i in range(len(inside) - len(wanted) + 1)) if wanted else False


def edit_distance(a: str, b: str) -> int:
    """Levenshtein distance: insertions, deletions and substitutions of characters."""
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, right in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (left != right))
    return row[-1]
