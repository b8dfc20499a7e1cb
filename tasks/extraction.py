r"""What a sentence answers, by rules and without a language model: a number, a list, and where it states them.

Which of several choices it names is told by tasks.choices.

    number   behind the last `answer is`, `answer:` or `\boxed{` the first of its sentence (the last of an equation), without
             one the last of the text that is no bound (`3 bars are higher than 10`). It is read whole: `.5`, `5e-1`, `1,234`,
             `3 × 10^5`, `1/2`, `\frac{1}{2}`. What belongs to a word or is a power is none (`CO2`, `m2`, `cm^2`, `x_1`), and
             the dash of a range is no sign (`2018-2019`).
    list     the last […]

Nothing is guessed: a text that offers none of these answers nothing.
"""

import ast
import re
from fractions import Fraction

SENTENCE, STATEMENTS = 500, 20  # characters, the last so many: so that long texts take no long time
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
END = re.compile(r"[.!?](?=\s|$)|\n")  # of a sentence
_STATED = re.compile(
    r"\banswers?\b(?: (?:choice|option|letter)\b)?(?:(?:(?!\bif\b)[^.\n]){0,80}?\b(?:is|be|was)\b|[ \t*_]{0,9}[:=])|答案(?:是|为)|\\boxed\{",
    re.IGNORECASE,
)
OPENING = re.compile(r"(?:\\text\w{0,9}\{|[\s:：=*_`\"'“”$(\[{])*")


def last_number(text: str) -> str | None:
    """The number that a text answers, as it stands there but without separators; None where there is none."""
    for found in statements(text):
        said = sentence(text, after(OPENING, text, found.end()))
        numbers = [number[0] for number in NUMBER.finditer(said)]
        if numbers:
            return _plain(numbers[-1 if "=" in said else 0])
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


def statements(text: str) -> list[re.Match[str]]:
    """Where a text says what its answer is, the last first."""
    return list(_STATED.finditer(text))[: -1 - STATEMENTS : -1]


def sentence(text: str, start: int) -> str:
    """From a place of a text to the end of the sentence."""
    end = END.search(text, start, start + SENTENCE)
    return text[start : end.start() if end else start + SENTENCE]


def after(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.match(text, start)
    return found.end() if found else start


def _plain(number: str) -> str:
    return number.replace(",", "").replace("−", "-")
