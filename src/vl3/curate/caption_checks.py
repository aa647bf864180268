"""What is wrong with a caption that a model wrote: rules that need no model, and say no more than one word for each."""

import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from vl3.config import configclass
from vl3.curate.language import language_probability, split_words

_REFUSALS = re.compile(
    r"""
    \bas\ an?\ (ai|artificial\ intelligence|(large\ )?language)\b
    | \A\W*(i'?\ ?a?m\ )?(so\ )?(sorry|apologi[sz]e)\b
    | \A\W*(unfortunately,?\ )?i\ (can't|cannot|can\ not|could\ not|couldn't|won't|will\ not|do\ not|don't)\b
    | \bi'?\ ?a?m\ (unable|not\ able)\ to\b
    | \b(can't|cannot|unable\ to|not\ able\ to)\ (see|view|access|open|assist|help|process)\b
    | \bno\ (image|picture|video|photo)\ ((is|was|has\ been|could\ be)\ )?(provided|attached|uploaded|found)\b
    | \bplease\ (provide|upload|attach|share)\b
    | \A\W*(抱歉|对不起|很抱歉|我无法|我不能|申し訳)
    | 作为(一个)?(人工智能|AI|语言模型)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_NGRAM = 4
_LANGUAGE_WORDS = 4
"""Least words by which a language is told."""
_LANGUAGE_PROBABILITY = 0.01


@configclass
class CaptionChecks:
    """When a caption is refused."""

    min_words: int = 3
    """Least words; in scripts without spaces each sign is one."""
    max_words: int = 60
    """Most words."""
    max_repetition: Annotated[float, Field(ge=0, le=1)] = 0.25
    """Most of its groups of four words that may occur before in it, as a share."""
    refusals: bool = True
    """Whether "I'm sorry, but I cannot see the image" and the like are refused."""
    language: str = "en"
    """The language that it must be in, by its two letters; empty takes any."""
    whole: bool = True
    """Whether captions that ran into the limit of tokens are refused."""

    def __post_init__(self) -> None:
        if not 0 <= self.min_words <= self.max_words:
            raise ValueError(f"min_words {self.min_words} and max_words {self.max_words} leave no caption")


def complaint(text: str, finish_reason: str, checks: CaptionChecks) -> str | None:
    """The first thing that is wrong with a caption: empty, refusal, cut off, too short, too long, repetition or
    language; None if nothing is."""
    text = text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    words = split_words(text)
    if not words:
        return "empty"
    if checks.refusals and _REFUSALS.search(text):
        return "refusal"
    if checks.whole and finish_reason == "length":
        return "cut off"
    if len(words) < checks.min_words:
        return "too short"
    if len(words) > checks.max_words:
        return "too long"
    if repetition(words) > checks.max_repetition:
        return "repetition"
    if checks.language and len(words) >= _LANGUAGE_WORDS:
        return "language" if language_probability(text, checks.language) < _LANGUAGE_PROBABILITY else None
    return None


def repetition(words: Sequence[str]) -> float:
    """The share of groups of four successive words that have occurred before, case aside."""
    groups = [tuple(word.lower() for word in words[at : at + _NGRAM]) for at in range(len(words) - _NGRAM + 1)]
    return 1 - len(set(groups)) / len(groups) if groups else 0.0
