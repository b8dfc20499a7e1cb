"""What chat models say and what it answers: letters, texts, numbers and lists, with nothing guessed."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntil.numbers.text import format_number
from tasks.choices import chosen, letter
from tasks.extraction import last_list, last_number, value

COLOURS = ["red", "blue", "light blue", "dark green"]
YES_NO = ["Yes", "No"]
ANGLES = ["30°", "45°", "60°", "90°"]


@pytest.mark.parametrize(
    "text",
    [
        *(
            "B",
            "b",
            "(B)",
            "(b)",
            "B.",
            "B)",
            "[B]",
            "**B**",
            "**(B)**",
            "`B`",
            '"B"',
            " B\n",
            "$B$",
            "\\boxed{B}",
        ),
        *(
            "The answer is B.",
            "the answer is b.",
            "Answer: B",
            "answer: (b)",
            "ANSWER: B",
            "The answer: **B**",
        ),
        *(
            "The correct answer is (B) blue.",
            "The answer is **B**, since it is the darker one.",
            "Final answer: B",
        ),
        *(
            "The correct option letter is B. It is of the same shade.",
            "I would choose (B).",
            "Option B",
            "Option (B)",
        ),
        *(
            "The correct choice would be B.",
            "The answer to this question is therefore (B).",
            "Answer choice (B)",
        ),
        *(
            "B: blue, as the legend says.",
            "B. It is the second bar.",
            "B) blue",
            "B - it is blue.",
            "(B) blue",
        ),
        *(
            "I compare the bars.\n\nB",
            "I compare the bars.\n\n**B**",
            "The bars differ.\nB.",
            "So the colour is B.",
        ),
        *(
            "blue",
            "Blue",
            "blue.",
            "BLUE!",
            '"blue"',
            "The bar is blue.",
            "It must be blue, as the legend says.",
        ),
        *(
            "Red bars are lower. The answer is blue.",
            "Red is lower than blue. So the answer is (B).",
            "答案为B",
        ),
        *("The answer is (A). No, wait: the answer is (B).", "The text (B) is right, (A) and (C) are not."),
        *(
            "The answer is (B).\n\nOption (A) is wrong, and option (C) too.",
            "The red one is lower, so the highest is blue.",
        ),
        "Using $\\\\text{hue}$ alone we get \\boxed{\\textbf{(B) }blue}.",
    ],
)
def test_ways_to_choose_the_second(text: str) -> None:
    assert chosen(text, COLOURS) == 1


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "?",
            "I cannot tell.",
            "There is not enough information.",
            "E",
            "(Z)",
            "The answer is F.",
            "bleu",
            "re",
        ),
        *(
            "It is a matter of taste.",
            "The answer is a colour.",
            "It is either red or blue.",
            "I see reddish shades.",
        ),
        *(
            "The answer is unclear",
            "As a language model I can't see pictures.",
            "An answer is a sentence.",
            "3",
            "I",
        ),
        "Is it f(A) or f(B)?",
    ],
)
def test_a_text_that_names_no_choice_chooses_none(text: str) -> None:
    assert chosen(text, COLOURS) is None


def test_choices_that_hold_each_other_and_words_that_are_no_choices() -> None:
    assert chosen("The bar is light blue.", COLOURS) == 2
    assert chosen("It is dark green, not green.", COLOURS) == 3
    assert chosen("The sky is bluer.", COLOURS) is None
    assert chosen("B: No, it falls.", YES_NO) == 1
    assert chosen("No, it falls.", YES_NO) == 1
    assert chosen("There is no way to tell.", YES_NO) is None
    assert chosen("The graph is a line that rises. Therefore, yes.", YES_NO) == 0
    assert chosen("Quarter past", ["quarter", "quarter past", "half"]) == 1
    assert chosen("It shows quarter past nine.", ["quarter", "quarter past", "half"]) == 1


def test_choices_of_numbers_and_formulas() -> None:
    assert chosen("45", ANGLES) == chosen("45 degrees", ANGLES) == chosen("$45^\\circ$", ANGLES) == 1
    assert chosen("The angles add up to 180°, so the last one is 60°.", ANGLES) == 2
    assert chosen("It measures 145°.", ANGLES) is None
    assert chosen("The sum of 30°, 45° and 60° is unknown.", ANGLES) is None
    assert chosen("x = 3√2", ["3", "3 \\sqrt{2}", "\\frac{3}{2}"]) == 1
    assert chosen("x is 3/2", ["3", "3 \\sqrt{2}", "\\frac{3}{2}"]) == 2
    assert chosen("It is 6 cm long", ["6cm", "16cm", "6.5cm"]) == 0
    assert chosen("It is 6.5 cm long", ["6cm", "16cm", "6.5cm"]) == 2
    assert chosen("20%-30%", ["10%-20%", "20%-30%"]) == 1
    assert chosen("The range is 1,200.", ["200", "1,200"]) == 1


def test_letters_beyond_z_and_choices_that_are_letters() -> None:
    many = [f"item {number}" for number in range(60)]
    assert [letter(place) for place in (0, 25, 26, 51, 52)] == ["A", "Z", "AA", "AZ", "BA"]
    for place in range(60):
        assert chosen(f"({letter(place)})", many) == place
        assert chosen(f"The answer is {letter(place)}.", many) == place
        assert chosen(many[place], many) == place
    assert chosen("The answer is C.", ["A", "B", "C"]) == 2
    assert chosen("(A)", ["B", "A"]) == 0  # a letter is a place


@given(st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=30), st.data())
def test_every_choice_can_be_chosen_by_letter(choices: list[str], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(choices) - 1))
    assert chosen(f"({letter(place)})", choices) == place
    assert chosen(f"The answer is ({letter(place)}).", choices) == place


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *((".5", "0.5"), ("-.5", "-0.5"), ("−.5", "-0.5"), ("+3", "3"), ("5e-1", "0.5"), ("2E3", "2000")),
        *(("1,234", "1234"), ("1,234,567.8", "1234567.8"), ("1, 2, 3", "3"), ("12,34", "34"), ("007", "7")),
        *(("from 2018-2019", "2019"), ("2018–2019", "2019"), ("2018 - 2019", "2019"), ("(3)-4", "4")),
        *(
            ("an area of 12 cm^2", "12"),
            ("12 m2", "12"),
            ("12 cm^{2}", "12"),
            ("12 s^-1", "12"),
            ("40 ppm CO2", "40"),
        ),
        *(
            ("x_1 = 4, x_2", "4"),
            ("$3.00", "3"),
            ("€13,101.", "13101"),
            ("45%", "45"),
            ("45 %.", "45"),
            ("90°", "90"),
        ),
        *(
            ("1/2", "1/2"),
            ("It is 3/4 of it", "3/4"),
            ("\\frac{1}{4}", "1/4"),
            ("-\\frac{1}{4}", "-1/4"),
            ("2 1/2", "5/2"),
        ),
        *(
            ("on 3/4/2020", "2020"),
            ("60 km/h", "60"),
            ("3 × 10^5", "300000"),
            ("2*10^{-3}", "0.002"),
            ("10^4", "10000"),
        ),
        *(
            ("First 3, then 4.", "4"),
            ("The answer is 3. There are 8 left.", "3"),
            ("Answer: **10**\n\n6 are red.", "10"),
        ),
        *(
            ("The answer is 2 + 3 = 5.", "5"),
            ("\\boxed{7}, which is more than 6.", "7"),
            ("The answer is:\n\n12", "12"),
        ),
        *(
            ("3 bars are higher than 10.", "3"),
            ("more than 10", "10"),
            ("It is -5.", "-5"),
            ("5 - 3 = 2", "2"),
            ("3rd", "3"),
        ),
    ],
)
def test_numbers_are_read_whole(text: str, number: str) -> None:
    found = last_number(text)
    assert found is not None
    assert value(found) == Fraction(number)


@pytest.mark.parametrize("text", ["", "three", "CO2", "cm^2", "m2", "x_1", "v1", "-", ".", "1/0", "e5", "A4"])
def test_texts_without_a_number(text: str) -> None:
    found = last_number(text)
    assert found is None or value(found) is None


@given(st.integers(-(10**9), 10**9), st.integers(0, 6))
def test_what_is_written_is_read(units: int, places: int) -> None:
    text = format_number(Fraction(units, 10**places), places)
    for sentence in (text, f"It is {text}.", f"The answer is {text}", f"{text} cm", f"$x = {text}$"):
        found = last_number(sentence)
        assert found is not None
        assert value(found) == Fraction(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[1, 2]", "[1, 2]"),
        ("first [1], then [2, 3].", "[2, 3]"),
        ("[[1, 2], [3, 4]]", "[[1, 2], [3, 4]]"),
        ("[ an open one, and [5]", "[5]"),
        ("] [", None),
        ("1, 2", None),
    ],
)
def test_the_last_list(text: str, found: str | None) -> None:
    assert last_list(text) == found
