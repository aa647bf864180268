"""words: drops rows whose text is no caption: missing, too short or long, in another language, boilerplate, private."""

import re
from functools import partial
from typing import Annotated

from pydantic import Field

from vl3.config import Count, configclass
from vl3.curate.language import language_probability, split_words
from vl3.curate.step import Found, Rows, RowStep, plain

BOILERPLATE = (
    r"^\W*(?:dsc|img|image|photo|pic|picture|screenshot|file|thumb(?:nail)?|logo|icon|banner|p|untitled)[\s_-]*\d*"
    r"(?:\.(?:jpe?g|png|gif|webp|bmp))?$",
    r"^[\w-]+\.(?:jpe?g|png|gif|webp|bmp|tiff?)$",
    r"click (?:here|to|on|for)\b|read more\b|add to (?:cart|basket|wishlist)|buy (?:now|online)|free shipping",
    r"all rights reserved|copyright \d{4}|terms (?:of|and) (?:use|conditions|service)|cookie policy|privacy policy",
    r"stock (?:photo|image|vector|illustration|footage)s?\b|royalty[- ]free|image may contain|no (?:alt|description)",
    r"^\W*(?:(?:sign|log) (?:in|up)|subscribe)\b|\b(?:(?:sign|log) (?:in|up)|subscribe) (?:to|now|here)\b",
    r"(?:follow|find|share) us on\b|page \d+ of \d+",
)
"""Words that sites put where a description should be."""

PRIVATE = (
    r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+",  # e-mail
    r"(?<![\w.])(?:\+|00)\d{1,3}[\s./-]?(?:\(?\d{1,5}\)?[\s./-]?){2,5}\d{2,4}(?!\w)",  # telephone, international
    r"(?<![\w.])\(?\d{3}\)?[\s.-]\d{3}[\s.-]\d{4}(?!\w)",  # telephone, North America
    r"(?<!\w)\d{3}-\d{2}-\d{4}(?!\w)",  # US social security
    r"(?<!\w)[A-Z]{2}\d{2}(?:\s?[A-Z0-9]{4}){3,7}(?:\s?[A-Z0-9]{1,3})?(?!\w)",  # IBAN
    r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])",  # IPv4
)
"""Marks of personal data, beside payment cards."""

CARD = r"(?<!\w)(?:\d{4}[\s-]?){3}\d{1,7}(?!\w)"
"""What may be the number of a payment card; its check digit says whether it is (ISO/IEC 7812-1)."""


@configclass
class WordsConfig:
    """What makes a text a caption."""

    column: str = "text"
    """The column that is judged."""
    min_words: Count = 2
    """Least words."""
    max_words: Count = 300
    """Most words."""
    language: str | None = None
    """Two letters of the language that is kept (by py3langid), None for any."""
    min_probability: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Least probability of that language; short texts are never certain."""
    min_letters: Annotated[float, Field(ge=0, le=1)] = 0.6
    """Least share of letters among what is not space."""
    max_repetition: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Most share of words that occurred before, of texts of eight words and more."""
    boilerplate: bool = True
    """Whether file names, shop and site phrases are refused."""
    private: bool = True
    """Whether texts with e-mail addresses, telephone, card, account or social security numbers are refused."""


def words_step(config: WordsConfig) -> RowStep:
    """Reads one column and writes none."""
    return RowStep((config.column,), {}, plain(partial(check, config)))


def check(config: WordsConfig, rows: Rows) -> Found:
    """Judges every text."""
    return Found(reasons=[fault(config, text) for text in rows[config.column]])


def fault(config: WordsConfig, text: str | None) -> str | None:
    """Why a text is no caption."""
    if not text or not text.strip():
        return "no text"
    words = split_words(text)
    if config.boilerplate and any(pattern.search(text) for pattern in _BOILERPLATE):
        return "boilerplate"
    if config.private and (any(pattern.search(text) for pattern in _PRIVATE) or any(map(_checks, _CARD.findall(text)))):
        return "personal data"
    if not config.min_words <= len(words) <= config.max_words:
        return "too few words" if len(words) < config.min_words else "too many words"
    marks = "".join(text.split())
    if sum(mark.isalpha() for mark in marks) < config.min_letters * len(marks):
        return "few letters"
    if len(words) >= 8 and 1 - len({word.lower() for word in words}) / len(words) > config.max_repetition:
        return "repetitive"
    if config.language and language_probability(text, config.language) < config.min_probability:
        return "another language"
    return None


def _checks(number: str) -> bool:
    """Whether the last digit is the check digit of the others (Luhn)."""
    digits = [int(sign) for sign in reversed(number) if sign.isdecimal()]
    return sum(digits[::2] + [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]) % 10 == 0


_BOILERPLATE = tuple(re.compile(pattern, re.IGNORECASE) for pattern in BOILERPLATE)
_PRIVATE = tuple(re.compile(pattern) for pattern in PRIVATE)
_CARD = re.compile(CARD)
