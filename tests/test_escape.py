"""Text in the places it is shown in: judged by what reads those places (an HTML and a Markdown parser, matplotlib)."""

from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntil.escape import drawn, html, latex, latex_comment, markdown, terminal, visible

ORDINARY = "NTIL − CE +0.011 [+0.002, +0.021] better; ±1 min ↑, σ², 時計, naïve (3) #1 50 %"
NASTY = st.text(
    st.sampled_from("ab1 \\`|_*[]()<>&;#~!\"'$^{}%:\n\r\t\x00\x1b\x07\x7f\x9b\u2028\u202e\ud800−↑é時🕐-+=./@")
) | st.text(st.characters())
EVIL = [
    "</td></script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "[click](javascript:alert(1))",
    "![](http://a/b.png)",
    "[a]: http://b",
    "`code` and ``more``",
    "a | b | c",
    "a \\| b",
    "\\input{/etc/passwd}",
    "line\n\\input{/etc/passwd}\r\nline",
    "\x1b]0;title\x07\x1b[31mred",
    "&lt;script&gt; &#60;b&#62;",
    "$x^{$ \\$",
    "half \ud800 pair",
    "~~struck~~ **bold** __bold__ *i*",
    "[red]rich[/red] [/]",
]


def test_ordinary_text_stays_as_it_is() -> None:
    for escape in (html, markdown, terminal, visible, drawn, latex_comment):
        assert escape(ORDINARY) == ORDINARY
    assert latex("a-b, c (3) [+0.1, 0.2]") == "a-b, c (3) [+0.1, 0.2]"
    assert (html(3), html(None), html(0.5)) == ("3", "None", "0.5")


class Reader(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


def check_html(text: str) -> None:
    page = Reader(f'<p title="{html(text)}">{html(text)}</p>')
    shown = visible(text, keep="\n\t")
    assert page.tags == [("p", [("title", shown)])]
    assert page.text == shown


def check_markdown(text: str) -> None:
    """The text is read back from a heading, a list item and a cell, and nothing else is made of it."""
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    page = (
        f"# x{markdown(text)}x\n\n- x{markdown(text)}x\n\n| a | b |\n|---|---|\n| x{markdown(text)}x | 1 |\n"
    )
    tokens = reader.parse(page)
    lines = [token for token in tokens if token.type == "inline"]
    assert [
        token.type for token in tokens if token.type in ("heading_open", "bullet_list_open", "td_open")
    ] == [*("heading_open", "bullet_list_open", "td_open", "td_open")]
    wanted = f"x{visible(text)}x"
    for place in (0, 1, 4):
        children = lines[place].children or []
        assert {child.type for child in children} <= {"text", "text_special"}, (text, children)
        assert "".join(child.content for child in children) == wanted
    assert lines[5].content == "1"


@pytest.mark.parametrize("text", EVIL)
def test_evil_text_is_text(text: str) -> None:
    check_html(text)
    check_markdown(text)
    check_lines(text)
    check_latex(text)


@given(NASTY)
def test_html_is_read_back(text: str) -> None:
    check_html(text)


@given(NASTY)
def test_markdown_is_read_back(text: str) -> None:
    check_markdown(text)


def check_lines(text: str) -> None:
    for escape in (terminal, latex_comment):
        found = escape(text)
        assert len(found.splitlines()) <= 1
        assert not any(ord(letter) < 32 or 0x7F <= ord(letter) < 0xA0 for letter in found)
        found.encode()
    assert terminal("a\nb", keep="\n") == "a\nb"


@given(NASTY)
def test_a_line_stays_a_line(text: str) -> None:
    check_lines(text)


COMMANDS = {
    *(
        "\\textbackslash{}",
        "\\textasciitilde{}",
        "\\textasciicircum{}",
        "$\\uparrow$",
        "$\\downarrow$",
        "$\\pm$",
    ),
    *("$-$", "$\\sigma$", "$^2$", "$\\infty$", *(f"\\{mark}" for mark in "&%$#_{}")),
}


def check_latex(text: str) -> None:
    """Only the commands that stand for a letter are left, and no letter that TeX reads as more than itself."""
    found = latex(text)
    assert not found.lstrip().startswith(("[", "*"))
    for command in sorted(COMMANDS, key=len, reverse=True):
        found = found.replace(command, "")
    found = found.replace("{[}", "", 1).replace("{*}", "", 1)
    assert not set("\\{}$&#^_~%\n\r\x00") & set(found), text


@given(NASTY)
def test_latex_holds_no_command_of_the_text(text: str) -> None:
    check_latex(text)


@settings(max_examples=40)
@given(NASTY)
def test_any_text_is_drawn(text: str) -> None:
    from io import BytesIO

    from matplotlib.figure import Figure

    figure = Figure(figsize=(1, 1))
    axes = figure.subplots()
    axes.set_title(drawn(text))
    axes.set_xticks([0], [drawn(text)])
    figure.savefig(BytesIO(), format="png", dpi=20)


@pytest.mark.parametrize("text", EVIL)
def test_evil_text_is_drawn(text: str) -> None:
    test_any_text_is_drawn.hypothesis.inner_test(text)
