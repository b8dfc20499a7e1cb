r"""What a sentence answers, by rules and without a language model: a number, one of several choices, a list.

    number   behind the last `answer is`, `answer:` or `\boxed{` the first of its sentence (the last of an equation), without
             one the last of the text that is no bound (`3 bars are higher than 10`). It is read whole: `.5`, `5e-1`, `1,234`,
             `3 × 10^5`, `1/2`, `\frac{1}{2}`. What belongs to a word or is a power is none (`CO2`, `m2`, `cm^2`, `x_1`), and
             the dash of a range is no sign (`2018-2019`).
    choice   1  the text is a letter (`B`, `(b)`, `**B**`) or a choice's own text, but for case, punctuation and spaces
             2  a letter or a text that is stated (`the answer is B`); the last statement
             3  a letter behind `option`, `choose`, …, or in brackets; the first
             4  a letter or a text that the answer begins with (`B: No`, `No, it …`), or a letter that it ends with
             5  the one choice that it names as whole words; where it names several, the one of the last sentence with any,
                there the one behind `is` or `be`
    list     the last […]

Nothing is guessed: a text that offers none of these answers nothing.
"""

import ast
import re
from collections.abc import Sequence
from fractions import Fraction

SENTENCE, STATEMENTS, ENDING = (
    500,
    20,
    80,
)  # characters, the last so many, characters: so that long texts take no long time
LONGEST = 300  # characters of a number, and digits of its value: longer ones are no floats
_POWER = r"\^\s?\{{?\s?(?P<{}>[+\-−]?[0-9]+)"
NUMBER = re.compile(
    rf"""
    (?<![\w^])(?<!\^[{{+\-−])(?<!\^\{{[+\-−])(?<!_\{{)(?<![0-9]\.)  # no part of a word or a number, no power, no index
    (?P<sign>(?<![\w)\]}}%])[+\-−](?=[0-9.\\]))?
    (?:
        \\[dt]?frac\{{(?P<above>[0-9]+)\}}\{{(?P<below>[0-9]+)\}}
      | (?:(?P<whole>[0-9]+)[ ])?(?<![0-9]/)(?P<over>[0-9]+)/(?P<under>[0-9]+)(?![0-9.]*[0-9/])
      | (?P<plain>(?:[0-9]{{1,3}}(?:,[0-9]{{3}})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)
        (?:[eE](?P<exponent>[+\-−]?[0-9]+)|{_POWER.format("power")})?
        (?:\s?(?:[×x*·]|\\times|\\cdot)\s?10\s?{_POWER.format("tens")})?
    )
    """,
    re.VERBOSE | re.ASCII,
)
_BOUND = re.compile(r"\b(?:than|at least|at most|up to)[\s$€£]{1,3}$", re.IGNORECASE)
_COPULA = re.compile(
    r"(?:=|\b(?:is|are|was|be))(?:\s(?:the|an?|about|approximately|only))?\s?", re.IGNORECASE
)
_END = re.compile(r"[.!?](?=\s|$)|\n")  # of a sentence
_STATED = re.compile(
    r"\banswers?\b(?: (?:choice|option|letter)\b)?(?:(?:(?!\bif\b)[^.\n]){0,80}?\b(?:is|be|was)\b|[ \t*_]{0,9}[:=])|答案(?:是|为)|\\boxed\{",
    re.IGNORECASE,
)
_POINTED = re.compile(r"\b(?:answer|option|choice|letter|choose|select|pick)\b", re.IGNORECASE)
_IS = re.compile(r"[^.\n]{0,40}?\b(?:is|be)\b", re.IGNORECASE)
_OPENING = re.compile(r"(?:\\text\w{0,9}\{|[\s:：=*_`\"'“”$(\[{])*")
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


def last_number(text: str) -> str | None:
    """The number that a text answers, as it stands there but without separators; None where there is none."""
    for found in _statements(text):
        sentence = _sentence(text, _after(_OPENING, text, found.end()))
        numbers = [number[0] for number in NUMBER.finditer(sentence)]
        if numbers:
            return _plain(numbers[-1 if "=" in sentence else 0])
    every = list(NUMBER.finditer(text))
    free = [
        number for number in every if not _BOUND.search(text, max(0, number.start() - 12), number.start())
    ]
    return _plain((free or every)[-1][0]) if every else None


def value(number: str) -> Fraction | None:
    """Of a number as `last_number` gives it; None where a text is no such number, or beyond a float's range."""
    found = NUMBER.fullmatch(number.strip().replace(",", ""))
    if found is None or len(number) > LONGEST:
        return None
    part = {name: text.replace("−", "-") for name, text in found.groupdict().items() if text}
    if above := part.get("above", part.get("over")):
        below = int(part.get("below", part.get("under", "0")))
        if below == 0:
            return None
        result = Fraction(int(above), below)
        if result < 1:
            result += int(part.get("whole", "0"))
    else:
        powers = [
            int(part.get(name, default))
            for name, default in (("exponent", "0"), ("tens", "0"), ("power", "1"))
        ]
        if any(abs(power) > LONGEST for power in powers):
            return None
        base = Fraction(part["plain"])
        if (base == 0 and powers[2] < 0) or base.numerator.bit_length() * abs(powers[2]) > 4 * LONGEST:
            return None
        result = base ** powers[2] * Fraction(10) ** (powers[0] + powers[1])
    if result >= 10**LONGEST:
        return None
    return -result if part.get("sign") == "-" else result


def last_list(text: str) -> str | None:
    """The whole text where it is a list, else the last […] with all that is nested in it."""
    if _is_list(text.strip()):
        return text.strip()
    opened: list[int] = []
    found: list[tuple[int, int]] = []
    for at, character in enumerate(text):
        if character == "[":
            opened.append(at)
        elif character == "]" and opened:
            start = opened.pop()
            while found and found[-1][0] > start:
                found.pop()  # it is nested in this one
            found.append((start, at + 1))
    return text[slice(*found[-1])] if found else None


def _is_list(text: str) -> bool:
    if not (text.startswith("[") and text.endswith("]") and len(text) < 10_000):
        return False
    try:
        return isinstance(ast.literal_eval(text), list)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False


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
    for found in _statements(text):
        place = _letter_at(text, found.end(), options)
        if place is not None:
            return place
        named = options.named(_sentence(text, _after(_OPENING, text, found.end())))
        if len(named) == 1:
            return named.pop()
    return None


def _pointed(text: str, options: _Options) -> int | None:
    for found in _POINTED.finditer(text):
        for at in (found.end(), _after(_IS, text, found.end())):
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
        sentence = next(sentence for sentence in reversed(_END.split(text)) if options.named(sentence))
        named = options.named(sentence)
        if len(named) > 1:
            named = options.said_to_be(sentence)
    return named.pop() if len(named) == 1 else None


def _letter_at(text: str, at: int, options: _Options) -> int | None:
    """Of a letter that stands at a place of a text, behind brackets and the like; words such as `a` are none."""
    found = _LETTER.match(text, _after(_OPENING, text, at))
    if found is None:
        return None
    place = options.place_of(found[0])
    may_be_word = found[0].islower() or found[0] in ("A", "I")
    if place is None or not may_be_word or _CLOSING.match(text, found.end()):
        return place
    return place if options.equal(_sentence(text, found.end())) == place else None


def _statements(text: str) -> list[re.Match[str]]:
    """Where a text says what its answer is, the last first."""
    return list(_STATED.finditer(text))[: -1 - STATEMENTS : -1]


def _sentence(text: str, start: int) -> str:
    """From a place of a text to the end of the sentence."""
    end = _END.search(text, start, start + SENTENCE)
    return text[start : end.start() if end else start + SENTENCE]


def _after(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.match(text, start)
    return found.end() if found else start


def _plain(number: str) -> str:
    return number.replace(",", "").replace("−", "-")


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
