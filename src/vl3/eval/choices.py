"""Which option an answer in free words chooses.

Rules in order, the first that finds something decides: a bare letter, the text of one option, a sentence that says
which is the answer (the last one counts), a verdict on each option, a letter with a mark of enumeration at the
beginning, letters in brackets, letters that stand alone, the text of an option inside the answer. Options that are
called wrong do not count, two letters are no answer, and nothing is guessed.
"""

import re
from collections.abc import Mapping

from vl3.eval.parse import plain
from vl3.eval.words import contains, normalised

_NOUNS = r"\b(?:ans(?:wer)?|choice|option|response|solution|selection|pick|conclusion|(?:best|correct|right)\s+one)s?\b"
_FILLERS = r"(?:\s+(?:to\s+(?:this|the)\s+question|here|letter|key|would|should|must|will))*"
_IS = r"\s*(?:\b(?:is|are|be|was)\b|:|=|-+>?|\u2192)?"
_HEDGES = r"(?:\s*(?:most\s+likely|probably|clearly|definitely|therefore|option|choice|letter|:))*"
_CORRECTED = r"\b(?:wait|actually|correction|sorry|no)\b[,:]\s+(?:it'?s\s+|it\s+is\s+)?"
_VERBS = r"\b(?:choose|chose|select|selected|pick|picked|go\s+with|going\s+with|vote\s+for|opt\s+for)\b"
_CHINESE = (
    r"(?:正确)?(?:答案|选项|选择|正解|应选|故选|我选|选|答え|答|정답)(?:应该|应当|就)?(?:是|为|は|은|:|=)?(?:选项|选)?"
)
_SAYS = (
    rf"(?:{_NOUNS}{_FILLERS}{_IS}{_HEDGES}|{_VERBS}(?:\s+(?:the|option|choice|letter|answer))*|{_CHINESE}|{_CORRECTED})"
    r"[\s\"'(\[]*"
)
"""Words before the letter that is the answer."""
_IS_RIGHT = (
    r"[)\].:\"']*\s+(?:is|would\s+be|seems|must\s+be|appears\s+to\s+be)\s+(?:clearly\s+)?(?:the\s+)?"
    r"(?:(?:most|best|only|single)\s+)?(?:likely\s+)?(?:correct|right|best|answer|true|accurate|appropriate)"
)
"""Words after it."""
_NOT = "".join(
    rf"(?<!{word} )"
    for word in ("not", "n't", "neither", "nor", "than", "instead of", "except", "eliminate", "eliminates", "out")
)
_DENIED = (
    r"(?:[(\[]?\b[{letters}]\b[)\]]?(?:[.:]?[ \t]+(?:{texts})\b)?[ \t,&]*(?:(?:and|or|nor)[ \t]+)?)+"
    r"(?:is|are)\s+(?:clearly\s+|all\s+|both\s+)?(?:wrong|incorrect|false|not\s+\w+|ruled\s+out)"
)
"""Options that are called wrong."""
_VERDICT = r"(?:^|[\s.;,])\(?([{letters}])[).:]\s*((?i:yes|no|correct|incorrect|true|false|right|wrong))\b"
_ALONE_BEFORE, _ALONE_AFTER = r"(?<![A-Za-z0-9'&+/.-])", r"(?![A-Za-z0-9&+/]|'[a-z]|-[A-Za-z])"
_STEMS = dict(zip("甲乙丙丁戊己", "ABCDEF", strict=True))


def choice(answer: str, options: Mapping[str, str]) -> str | None:
    """The letter that an answer chooses, or None. options: letter -> text, letters upper case."""
    text = plain(answer)
    letters = "".join(options)
    bare = re.fullmatch(rf"[^\w+#]*([{letters}{letters.lower()}甲乙丙丁戊己])[^\w+#]*", text)
    if bare:
        letter = _STEMS.get(bare[1], bare[1].upper())
        return letter if letter in options else None
    said = normalised(text)
    same = [letter for letter, words in options.items() if said and said == normalised(words)]
    if len(same) == 1:
        return same[0]
    text = re.sub(rf"({_CHINESE}[\s\"'(\[]*)([甲乙丙丁戊己])", lambda match: match[1] + _STEMS[match[2]], text)
    texts = "|".join(map(re.escape, options.values()))
    text = re.sub(_DENIED.format(letters=letters, texts=texts), "", text).strip()
    if _echoes(text, options):
        return None
    for rule in (_stated, _verdicts, _leading, _bracketed, _alone):
        found = rule(text, letters)
        if found:
            return found[0] if len(found) == 1 else None
    return _by_text(text, options)


def _stated(text: str, letters: str) -> list[str]:
    """The option of the last sentence that says which is the answer; several if it leaves that open."""
    small = rf"[{letters.lower()}](?=[\s\"'.)\],;:!]*$)"
    says = rf"{_NOT}(?i:{_SAYS})([{letters}]|{small})(?![A-Za-z0-9'&+]|-[A-Za-z])(?!\s+[a-z]+\s+(?:is|are|was)\b)"
    right = rf"{_NOT}{_ALONE_BEFORE}([{letters}]){_ALONE_AFTER}(?i:{_IS_RIGHT})"
    found = [match for match in re.finditer(says, text) if not _word(text, match.start(1))]
    found += re.finditer(right, text)
    if not found:
        return []
    last = max(found, key=lambda match: match.start(1))
    other = rf"[)\].\"']*\s*(?:or|and|as\s+well\s+as|[,/&+|、和或])\s*(?:option\s*)?[(\[]?([{letters}])(?![A-Za-z0-9'])"
    also = re.match(other, text[last.end(1) :])
    return sorted({match[1].upper() for match in (last, also) if match})


def _verdicts(text: str, letters: str) -> list[str]:
    """The options that are called right where several get a verdict, as in `A: no. B: yes.`"""
    found = re.findall(_VERDICT.format(letters=letters), text)
    return sorted(
        {letter for letter, said in found if said.lower() in ("yes", "correct", "true", "right")}
        if len(found) > 1
        else set()
    )


def _echoes(text: str, options: Mapping[str, str]) -> bool:
    """Whether all that is said is the list of the options, or its beginning."""
    said = re.findall(r"[^\W_]+", text.casefold())
    for number in range(2, len(options) + 1):
        listed = [
            re.findall(r"[^\W_]+", f"{letter} {words}".casefold()) for letter, words in list(options.items())[:number]
        ]
        if said == [word for words in listed for word in words]:
            return True
    return False


def _leading(text: str, letters: str) -> list[str]:
    """A letter with a mark of enumeration at the very beginning, as in `B. because` or `(B) a dog`."""
    either = letters + letters.lower()
    match = re.match(rf"[\s\"'(\[]*(?i:option|choice|选项)?\s*[(\[]?([{either}])\s*[)\].:,;]", text)
    match = match or re.match(
        rf"\s*([{letters}])(?:\n|\s+[-\u2013\u2014=(]|\s+(?:because|since|as(?!\s+well)|due)\b)", text
    )
    if match is None:
        return []
    rest = text[match.end() :]
    if not re.match(rf"\s*(?:and|or|[,;&/])?\s*[(\[]?[{letters}]\s*(?:[)\].,;&/\n]|$)", rest):
        return [match[1].upper()]
    more = re.findall(rf"(?:^|[\s,;/&])[(\[]?([{letters}])\s*(?=[)\].:,;/&\n]|$)", rest)
    return sorted({match[1].upper(), *more})


def _bracketed(text: str, letters: str) -> list[str]:
    """Letters in brackets anywhere."""
    return sorted(set(re.findall(rf"{_NOT}[(\[]([{letters}])[)\]]", text)))


def _alone(text: str, letters: str) -> list[str]:
    """Capital letters that stand alone, unless they are the words `a` and `I`."""
    pattern = rf"{_NOT}{_ALONE_BEFORE}([{letters}]){_ALONE_AFTER}"
    return sorted({match[1] for match in re.finditer(pattern, text) if not _word(text, match.start(1))})


def _word(text: str, place: int) -> bool:
    """Whether a letter is the English article or pronoun: `A man`, `I think`."""
    after = text[place + 1 :]
    if text[place] not in "AIai" or not re.match(r" [a-z']", after):
        return False
    return text[place] in "Ii" or not re.match(
        r" (?:because|since|as|is|would|seems|fits|matches|appears|and|or|must)\b", after
    )


def _by_text(text: str, options: Mapping[str, str]) -> str | None:
    """The only option whose words occur in the answer; of options that contain each other the longest."""
    if re.search(r"\b(?:neither|nor|unable|none)\b", text, re.I):
        return None
    text = re.sub(
        r"(?:\b(?:no|not|cannot|without|rather\s+than|instead\s+of)\b|n't\b)(?:(?!\bbut\b)[^.,;\n])*", " ; ", text
    )
    found = {letter: words for letter, words in options.items() if contains(text, words)}
    longest = [
        letter
        for letter, words in found.items()
        if not any(normalised(words) != normalised(more) and contains(more, words) for more in found.values())
    ]
    return longest[0] if len(longest) == 1 else None
