"""The words of a text, and which language it is in, by py3langid (naive Bayes over byte n-grams, 140 languages)."""

import re
from functools import cache
from typing import Any

from vl3.errors import UserError

# Thai to Burmese, Khmer, Japanese, Chinese, Korean
_UNSPACED = r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
_WORD = re.compile(rf"{_UNSPACED}|(?:(?!{_UNSPACED})[^\W_])+(?:'[^\W_]+)*")


def split_words(text: str) -> list[str]:
    """The words of a text; in scripts without spaces each sign is one."""
    return _WORD.findall(text)


def language_probability(text: str, language: str) -> float:
    """How likely it is that a text is in a language, named by its two letters.

    One of several words in English has 0.1 and more, also where names of other languages are in it; in another
    language 0.001 at most. A word or two say little. UserError for a language that is not known.
    """
    identifier = _identifier()
    if language not in identifier.labels:
        raise UserError(f"language {language!r} is none of {' '.join(sorted(identifier.labels))}")
    return float(dict(identifier.rank(text))[language])


@cache
def _identifier() -> Any:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError as error:
        raise UserError('telling languages apart needs py3langid: pip install "vl3[curate]"') from error
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
