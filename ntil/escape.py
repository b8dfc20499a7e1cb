"""Text that comes from a file, a model or a command line, made safe for the place it is shown in: one function each.

    html(value)        between tags and in quoted attributes
    markdown(text)     in a line, a list item or a cell of a table
    latex(text)        in a line or a cell of a table; `latex_comment` after a %
    terminal(text)     on a terminal or in a log: no escape sequence works, one line stays one line
    drawn(text)        in a figure of matplotlib: nothing is read as mathematics

Ordinary text stays as it is. What cannot be seen is shown: a control character by its picture (␛, ␊), half a surrogate pair
and marks that turn the direction of writing by �.
"""

import re
from typing import Any

_UNSEEN = {
    **{code: chr(0x2400 + code) for code in range(0x20)},  # C0: ␀ … ␟
    0x7F: "␡",
    **dict.fromkeys(range(0x80, 0xA0), "�"),  # C1
    **dict.fromkeys((0x2028, 0x2029), "␊"),  # line and paragraph separator
    **dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)), "�"),  # direction of writing
    **dict.fromkeys(range(0xD800, 0xE000), "�"),  # surrogates
}
_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;"})
_MARKDOWN = re.compile(r"[\\`|_*]|<|&(?=#?\w+;)|~(?=~)|\](?=[(\[:])")
_ENTITIES = {"<": "&lt;", "&": "&amp;"}
_TEX = str.maketrans(
    {
        "\\": "\\textbackslash{}",
        **{mark: f"\\{mark}" for mark in "&%$#_{}"},
        "~": "\\textasciitilde{}",
        "^": "\\textasciicircum{}",
        "↑": "$\\uparrow$",
        "↓": "$\\downarrow$",
        "±": "$\\pm$",
        "−": "$-$",
        "–": "--",
        "σ": "$\\sigma$",
        "²": "$^2$",
        "∞": "$\\infty$",
    }
)
_SPACES = dict.fromkeys(_UNSEEN, " ")  # pictures of control characters are in few fonts of TeX
LONGEST_DRAWN = 400  # letters


def visible(text: str, keep: str = "") -> str:
    """Without a character that acts instead of being seen, but those in `keep` (line ends, tabs)."""
    if text.isascii() and text.isprintable():
        return text
    if not keep:
        return text.translate(_UNSEEN)
    return text.translate({code: mark for code, mark in _UNSEEN.items() if chr(code) not in keep})


def html(value: Any) -> str:
    """Numbers too: what a file calls a count may be text. Line ends and tabs stay."""
    return visible(str(value), keep="\n\t").translate(_HTML)


def markdown(text: str, keep: str = "") -> str:
    """No emphasis, code, link, tag or border of a cell comes out of it; marks in `keep` stay as they are."""

    def safe(found: re.Match[str]) -> str:
        mark = found[0]
        return mark if mark in keep else _ENTITIES.get(mark, f"\\{mark}")

    return _MARKDOWN.sub(safe, visible(text))


def latex(text: str) -> str:
    """No command, comment or border of a cell comes out of it."""
    tex = text.translate(_SPACES).translate(_TEX)
    head = tex.lstrip()[:1]
    # Else an argument of the line's end.
    return tex.replace(head, f"{{{head}}}", 1) if head in ("[", "*") else tex


def latex_comment(text: str) -> str:
    """One line, whatever the text holds."""
    return visible(text)


def terminal(text: str, keep: str = "") -> str:
    """`keep="\\n"` for a message of several lines."""
    return visible(text, keep)


def drawn(text: str) -> str:
    text = visible(text, keep="\n").replace("$", r"\$")
    return text if len(text) <= LONGEST_DRAWN else text[: LONGEST_DRAWN - 1] + "…"
