"""What the numbers of a report say, in sentences; each is worked out from the values and never assumed."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from ntil.explain.lineup import CE
from ntil.explain.report import TIE, Report
from ntil.explain.tokens import Answer
from ntil.numbers import format_number


def setting(report: Report) -> str:
    """What the table shows, above it."""
    text = report.target.text
    tokens = "" if len(text) == len(report.target.ids) else f", which is the tokens {report.target.as_tokens}"
    said = (
        f"The truth is {text}{tokens}. What does each loss charge a model that is {100 * report.sure:.10g} % sure of another "
        "answer? Compare along a row: every loss has units of its own."
    )
    if len(report.wrong) > 1:
        marks = ", ✓ if that is the nearest by value and ✗ if not" if report.nearest() else ""
        said += f" Favours: the wrong answer that costs least{marks}."
    return said


def findings(report: Report) -> list[str]:
    """The lessons, below the table."""
    return [*_cross_entropy(report), *_ntil(report), *_all_losses(report), *_not_seen(report)]


def ordinal(n: int) -> str:
    """3 → 3rd."""
    ending = "th" if 10 <= n % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _texts(answers: Sequence[Answer]) -> str:
    return _listed([answer.text for answer in answers])


def _cross_entropy(report: Report) -> Iterator[str]:
    """Wrong answers with as many wrong tokens cost the same; fewer cost less, however far off they are."""
    errors, costs, counts = report.errors(), report.totals(CE), report.wrong_tokens()
    alike: dict[int, list[int]] = defaultdict(list)
    for i in range(1, len(report.answers)):
        alike[counts[i]].append(i)
    for count, group in sorted(alike.items()):
        if len(group) < 2 or max(costs[i] for i in group) - min(costs[i] for i in group) > TIE:
            continue
        off = [format_number(errors[i]) for i in group] if errors else []
        answers = _texts([report.answers[i] for i in group])
        yield (
            f"Cross-entropy charges {answers} the same ({costs[group[0]]:.3f}): each has {count} wrong {report.token_kind}{'s' * (count > 1)}"
            + (f", though they are {_listed(off)} off." if len(set(off)) > 1 else ".")
        )
    favourites, nearest = report.favours(costs), report.nearest()
    if errors and report.verdict(costs) == "wrong" and len(favourites) == 1:
        liked, near = report.answers.index(favourites[0]), report.answers.index(nearest[0])
        if counts[liked] < counts[near]:
            yield (
                f"Cross-entropy counts wrong {report.token_kind}s: {report.answers[liked].text} has {counts[liked]} and "
                f"{report.answers[near].text} has {counts[near]}, so it favours {report.answers[liked].text}, which is "
                f"{format_number(errors[liked])} off where {report.answers[near].text} is {format_number(errors[near])} off."
            )


def _ntil(report: Report) -> Iterator[str]:
    """How the two number formats read the target, and which wrong answer they favour."""
    said = {
        "digits": ("as released", "NTIL"),
        "decimal": ("ours", "NTIL decimal"),
    }
    for number_format, (origin, name) in said.items():
        if name not in report.parts:
            continue
        numbers = report.tokens.numbers(
            report.target.ids, "decimal" if number_format == "decimal" else "digits"
        )
        read = (
            "as one number"
            if len(numbers) == 1
            else f"as the numbers {_listed([format_number(n) for n in numbers])}"
        )
        sentence = f"NTIL in {number_format} format ({origin}) reads {report.target.text} {read}"
        favourites = report.favours(report.totals(name))
        if len(report.wrong) > 1:
            tied = len(favourites) == len(report.wrong)
            sentence += " and charges all the same" if tied else f" and favours {_texts(favourites)}"
            sentence += {"right": ", the nearest", "wrong": ", which is not the nearest"}.get(
                report.verdict(report.totals(name)), ""
            )
        yield sentence + "."


def _all_losses(report: Report) -> Iterator[str]:
    if not report.nearest():
        if len(report.wrong) == 1:
            yield "Give a second prediction to see which of the two each loss favours."
        return
    names: dict[str, list[str]] = defaultdict(list)
    for contestant in report.contestants:
        names[report.verdict(report.totals(contestant.name))].append(contestant.name)
    near = _texts(report.nearest())
    said = {
        "right": f"The nearest ({near}) costs least with",
        "wrong": "A farther one costs least with",
    }
    said["tie"] = "No difference between them is seen by"
    for verdict, opening in said.items():
        if names[verdict]:
            yield f"{opening} {_listed(names[verdict])}."


def _not_seen(report: Report) -> Iterator[str]:
    """What number losses leave to cross-entropy: the sign, and any token that is no number."""
    width = report.tokens.vocab.width
    others = [
        answer
        for answer in report.wrong
        if any(a != b and not width[a] for a, b in zip(report.target.ids, answer.ids, strict=True))
    ]
    signed = any(answer.text.lstrip().startswith(("-", "+", "−")) for answer in report.answers)
    if signed:
        yield "The sign is no digit: number losses do not see it, and it stays with cross-entropy, which is trained beside them."
    if others and not signed:
        yield f"{_texts(others)}: the token that is no digit is seen by cross-entropy alone, which is trained beside the number losses."
