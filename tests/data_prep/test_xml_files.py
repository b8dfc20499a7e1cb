"""XML as annotation tools write it: text is read as it was meant, and nothing is expanded, fetched or lost."""

import time
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.xml_files import read_xml


def text_of(tmp_path: Path, content: str | bytes, encoding: str = "utf-8") -> str | None:
    """The text of the root; None where the file cannot be used."""
    path = tmp_path / "a.xml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    root = read_xml(path)
    return None if isinstance(root, str) else (root.text or "")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("salt & pepper", "salt & pepper"),
        ("AT&T; x", "AT&T; x"),
        ("&", "&"),
        ("&&amp;&", "&&&"),
        ("a=1&b=2", "a=1&b=2"),
        ("&amp;lt; & &lt;", "&lt; & <"),
        ("caf&eacute; &nbsp;&", "café \u00a0&"),
        ("&#65;&#x42; & &#0; &#xD800; &#99999999999;", "AB & &#0; &#xD800; &#99999999999;"),
        ("a < b & c", "a < b & c"),
        ("1 <2", "1 <2"),
        ("\x00a\x01\x1b[31m\uffff & ", "a[31m & "),
        ("<![CDATA[a & b]]> & c", "a & b & c"),
        ("<!-- & -->a & b", "a & b"),
        ("&amp;quot; &quot; &", '&quot; " &'),
    ],
)
def test_what_was_not_escaped_is_read_as_it_was_meant(written: str, meant: str, tmp_path: Path) -> None:
    assert text_of(tmp_path, f"<a>{written}</a>") == meant


@given(
    st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"), max_size=30)
)
def test_sound_files_are_read_as_they_stand(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    assert text_of(tmp_path_factory.getbasetemp(), f"<a>{escape(text)}</a>") == text


@given(st.text("ab&;#x1<> ampltquot", max_size=20))
def test_a_bare_ampersand_loses_nothing(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Beside a certain fault, each `&` is either a reference that XML or HTML knows or stands for itself."""
    found = text_of(tmp_path_factory.getbasetemp(), f"<a>& {text.replace('<', '')}</a>")
    assert found is not None or "]]>" in text
    assert found is None or found.startswith("& ")


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"]
)
@pytest.mark.parametrize("said", ["", '<?xml version="1.0"?>\n', "\n\n"])
def test_encodings_that_show(encoding: str, said: str, tmp_path: Path) -> None:
    assert text_of(tmp_path, f"{said}<a>théière & é</a>", encoding) == "théière & é"


@pytest.mark.parametrize(
    "encoding", ["iso-8859-1", "ISO-8859-15", "windows-1251", "gbk", "GB18030", "big5", "shift_jis", "euc-kr"]
)
def test_encodings_that_are_said(encoding: str, tmp_path: Path) -> None:
    letter = {
        "windows-1251": "ж",
        "shift_jis": "猫",
        "gbk": "猫",
        "GB18030": "猫",
        "big5": "好",
        "euc-kr": "가",
    }.get(encoding, "é")
    assert (
        text_of(tmp_path, f'<?xml version="1.0" encoding="{encoding}"?><a>{letter} & b</a>', encoding)
        == f"{letter} & b"
    )


@pytest.mark.parametrize(
    "encoding", ["punycode", "idna", "unicode_escape", "rot13", "zip", "undefined", "utf-7", "none", "cp9999"]
)
def test_other_codecs_are_not_called(encoding: str, tmp_path: Path) -> None:
    assert text_of(tmp_path, f'<?xml version="1.0" encoding="{encoding}"?><a>é\\n</a>') == "é\\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be", "utf-32"])
@pytest.mark.parametrize(
    "content",
    [
        '<!DOCTYPE x [<!ENTITY a "ha">]><x>&a;</x>',
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>',
        '<!doctype x SYSTEM "http://example.org/x.dtd"><x/>',
        "<! DOCTYPE x><x/>",
        '<\x01!DOCTYPE x [<!ENTITY a "ha">]><x>&a; &</x>',
        '<!\x01DOCTYPE x [<!ENTITY a "ha">]><x>&a; &</x>',
        '<!DOC\x0bTYPE x [<!ENT\x01ITY a "ha">]><x>&a; &</x>',
    ],
)
def test_what_declares_anything_is_not_read(content: str, encoding: str, tmp_path: Path) -> None:
    assert text_of(tmp_path, content, encoding) is None


def test_tags_have_no_namespace(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text('<v:a xmlns="u" xmlns:v="w"><object v:x="1"/></v:a>')
    root = read_xml(tmp_path / "a.xml")
    assert not isinstance(root, str)
    assert [element.tag for element in root.iter()] == ["a", "object"]


@pytest.mark.parametrize(
    "content",
    [b"<!--" * 10**6, b"<a>" + b"<![CDATA[" * 10**6, b"&" + b"a" * 10**7, b"&a" * 10**6, b"<a>" * 10**5 + b"</a>" * 10**5,
     b"<a>" * 10**6, b"<a " + b"b='' " * 10**6, b'<?xml ' + b"e" * 10**6, b"\xff" * 10**6, b"<" * 10**6],
    ids=lambda content: repr(content[:8]),
)  # fmt: skip
def test_no_file_takes_long(content: bytes, tmp_path: Path) -> None:
    start = time.monotonic()
    (tmp_path / "a.xml").write_bytes(content)
    read_xml(tmp_path / "a.xml")
    assert time.monotonic() - start < 20


def test_reasons_are_the_same_for_a_kind(tmp_path: Path) -> None:
    reasons = set()
    for content in (b"<a><b></a>", b"<a>\n\n<b>x</a>"):
        (tmp_path / "a.xml").write_bytes(content)
        reasons.add(read_xml(tmp_path / "a.xml"))
    assert reasons == {"broken XML (mismatched tag)"}
    assert read_xml(tmp_path) == "its file cannot be read (IsADirectoryError)"
