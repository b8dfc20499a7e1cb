r"""Which of several choices a text names, by rules and without a language model.

    1  the text is a letter (`B`, `(b)`, `**B**`) or a choice's own text, but for case, punctuation and spaces
    2  a letter or a text that is stated (`the answer is B`); the last statement
    3  a letter behind `option`, `choose`, …, or in brackets; the first
    4  a letter or a text that the answer begins with (`B: No`, `No, it …`), or a letter that it ends with
    5  the one choice that it names as whole words; where it names several, the one of the last sentence with any,
       there the one behind `is` or `be`

Nothing is guessed: a text that names no choice, or several, names none.
"""

import re
from collections.abc import Sequence

from tasks.extraction import END, OPENING, after, sentence, statements

ENDING = 80  # characters at the end of a text that may hold its letter: so that long texts take no long time
_COPULA = re.compile(
    r"(?:=|\b(?:is|are|was|be))(?:\s(?:the|an?|about|approximately|only))?\s?", re.IGNORECASE
)
_POINTED = re.compile(r"\b(?:answer|option|choice|letter|choose|select|pick)\b", re.IGNORECASE)
_IS = re.compile(r"[^.\n]{0,40}?\b(?:is|be)\b", re.IGNORECASE)
_LETTER = re.compile(r"[A-Za-z]{1,2}(?![\w'’-])", re.ASCII)
_CLOSING = re.compile(r"\s{0,9}(?:[.,;:!?(){}\[\]*_`\"'”$<\n]|$|(?:because|since|as|which)\b)")
_BRACKETED = re.compile(r"(?<![\w\\])[(\[]([A-Za-z]{1,2})[)\]]", re.ASCII)
_FIRST = re.compile(r"[\s*_\"'`(\[]*([A-Za-z]{1,2})[*_\"'`\])]*(?:[:)]|\.(?=\s)|\s?[-–—]\s|\n)")
_LAST = re.compile(r"(?:\bis\s+|[=:]\s*|\n\s*)[*_(\[\"'`$]*([A-Z]{1,2})[*_)\]\"'`$.!]*(?:</s>)?\s*$")
_LATEX = (
    (re.compile(r"\\?(?:sqrt|√)\s*\{([^{}]*)\}"), r"√\1"),
    (re.compile(r"\\?sqrt\b"), "√"),
    (re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}"), r"\1/\2"),
    (re.compile(r"\\(?:text|math)\w*\{"), ""),
    (re.compile(r"\^?\\circ\b|\s?degrees?\b|°"), ""),
    (re.compile(r"[${}\\*`\"“”]"), ""),
)


def letter(place: int) -> str:
    """0 → A, 25 → Z, 26 → AA."""
    return ("" if place < 26 else letter(place // 26 - 1)) + chr(ord("A") + place % 26)


def chosen(text: str, choices: Sequence[str]) -> int | None:
    """The place of the choice that a text names by the module's rules; None where it names none."""
    text, options = text.strip(), _Options(choices)
    for rule in (_alone, _stated, _pointed, _at_its_ends, _named):
        place = rule(text, options)
        if place is not None:
            return place
    return None


class _Options:
    """The choices, and where a text names them."""

    def __init__(self, choices: Sequence[str]) -> None:
        self.count = len(choices)
        self.form = next(
            f for f in (_loose, _lower, str) if f is str or len(set(map(f, choices))) == len(set(choices))
        )
        self.places: dict[str, int] = {}
        for place, choice in enumerate(choices):
            self.places.setdefault(self.form(choice), place)  # the first of equals
        words = [
            word for word in self.places if len(word) > 1 or word.isdigit()
        ]  # no single letters, which are labels
        self.words = sorted(words, key=len, reverse=True)
        self.pattern = re.compile("|".join(map(_as_words, self.words)) or r"(?!)")

    def place_of(self, label: str) -> int | None:
        """Of a letter."""
        place = 0
        for character in label.upper():
            place = place * 26 + ord(character) - ord("A") + 1
        return place - 1 if place <= self.count else None

    def equal(self, text: str) -> int | None:
        return self.places.get(self.form(text))

    def named(self, text: str) -> set[int]:
        """Those that a text names as whole words; a longer one hides those that are a part of it."""
        return {self._place(found) for found in self.pattern.finditer(self.form(text))}

    def said_to_be(self, sentence: str) -> set[int]:
        """Those that stand behind `is` or `be`, and are no alternatives."""
        sentence = self.form(sentence)
        found = (self.pattern.match(sentence, copula.end()) for copula in _COPULA.finditer(sentence))
        return {
            self._place(one)
            for one in found
            if one and not re.match(r"\s*,?\s*(?:or|and)\b", sentence[one.end() :])
        }

    def first(self, text: str) -> int | None:
        """The one that a text begins with, where a stop follows."""
        text = self.form(text).lstrip("'([ ")
        found = self.pattern.match(text)
        return self._place(found) if found and re.match(r"[,.:;!]|\s*$", text[found.end() :]) else None

    def _place(self, found: re.Match[str]) -> int:
        assert found.lastindex is not None
        return self.places[self.words[found.lastindex - 1]]


def _alone(text: str, options: _Options) -> int | None:
    bare = text.strip(" \t\n*_`\"'“”()[]{}.,:;$")
    if not _LETTER.fullmatch(bare) or (bare.islower() and options.equal(text) is not None):
        return options.equal(text)
    place = options.place_of(bare)
    return options.equal(text) if place is None else place


def _stated(text: str, options: _Options) -> int | None:
    for found in statements(text):
        place = _letter_at(text, found.end(), options)
        if place is not None:
            return place
        named = options.named(sentence(text, after(OPENING, text, found.end())))
        if len(named) == 1:
            return named.pop()
    return None


def _pointed(text: str, options: _Options) -> int | None:
    for found in _POINTED.finditer(text):
        for at in (found.end(), after(_IS, text, found.end())):
            place = _letter_at(text, at, options)
            if place is not None:
                return place
    places = (options.place_of(label) for label in _BRACKETED.findall(text))
    return next((place for place in places if place is not None), None)


def _at_its_ends(text: str, options: _Options) -> int | None:
    start, end = _FIRST.match(text), _LAST.search(text[-ENDING:])
    for found in (start, end):
        place = None if found is None else options.place_of(found[1])
        if place is None and found is start:
            place = options.first(text)
        if place is not None:
            return place
    return None


def _named(text: str, options: _Options) -> int | None:
    named = options.named(text)
    if len(named) > 1:
        said = next(said for said in reversed(END.split(text)) if options.named(said))
        named = options.named(said)
        if len(named) > 1:
            named = options.said_to_be(said)
    return named.pop() if len(named) == 1 else None


def _letter_at(text: str, at: int, options: _Options) -> int | None:
    """Of a letter that stands at a place of a text, behind brackets and the like; words such as `a` are none."""
    found = _LETTER.match(text, after(OPENING, text, at))
    if found is None:
        return None
    place = options.place_of(found[0])
    may_be_word = found[0].islower() or found[0] in ("A", "I")
    if place is None or not may_be_word or _CLOSING.match(text, found.end()):
        return place
    return place if options.equal(sentence(text, found.end())) == place else None


def _lower(text: str) -> str:
    return " ".join(text.casefold().split()).strip(" .,;:!?")


def _loose(text: str) -> str:
    """Without case, outer punctuation, LaTeX's marks and degree signs."""
    for pattern, new in _LATEX:
        text = pattern.sub(new, text)
    return _lower(text)


def _as_words(choice: str) -> str:
    """A pattern of a choice's text as whole words; spaces in it may be missing. "no" before another word is no answer."""
    parts = r"\s?".join(map(re.escape, re.findall(r"[0-9]+|[^\W0-9]+|[^\w\s]", choice)))
    return rf"(?<![\w.√/-])({parts})(?!\w|[.,/][0-9]|%)" + (r"(?!\s+\w)" if choice == "no" else "")
