"""Escaped text is data when it is shown (docs/contract.md#what-no-output-does)."""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from reconciler.text import escape

PIECES = [
    "::", ":", "##[", "#", "[", "error", "\x1b[31m", "\x1b]0;t\x07", "\n", "\r", "\t", " ", "|", "`", "``", "\\",
    "@everyone", "#12", "GH-1", "www.evil.test", "https://evil.test", "</details>", "<img src=x>", "</code>", "</pre>",
    "&amp;", "*b*", "_i_", "~~", "~~~", "- ", "1. ", "1) ", "> ", "# ", "===", "[x](y)", "![x](y)", "$", "%", ",",
    "\u202e", "\u200b", "\u2028", "\x7f", "\x85", "\xa0", "\ud800", "<!--", "a", "é", "]]>", "{secret:PLUG_SECRET_X}",
    "\u2800", "\ufe0f", "\u0430", "\u0301", "\u03bf", "nº", "\\u", "0430",
]  # fmt: skip
texts = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
    st.text(st.characters(codec=None), max_size=40),
)
MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
VISIBLE: list[Callable[[str], str]] = [
    escape.for_terminal,
    escape.for_markdown,
    escape.for_markdown_code,
    escape.for_html,
    escape.for_workflow_data,
    escape.for_workflow_property,
]


# Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties.txt: these characters are drawn as nothing.
IGNORABLE = {
    0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), *range(0x200B, 0x2010),
    *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0x3164, *range(0xFE00, 0xFE10), 0xFEFF, 0xFFA0,
    *range(0xFFF0, 0xFFF9), *range(0x1BCA0, 0x1BCA4), *range(0x1D173, 0x1D17B), *range(0xE0000, 0xE1000),
}  # fmt: skip


def is_hidden(character: str) -> bool:
    """Return whether a character is invisible, controls a terminal or text direction, or is an unusual blank."""
    if character == " ":
        return False
    odd = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp", "Zs")
    return odd or character == "\u2800" or ord(character) in IGNORABLE


def hidden(text: str) -> list[str]:
    return [character for character in text if is_hidden(character)]


def rendered(markdown: str) -> str:
    return str(MARKDOWN.render(markdown))


def words_of(page: str) -> str:
    """Return the text of an HTML page: without tags and added gaps, entities as characters, white space unified."""
    text = html.unescape(re.sub(r"<[^>]*>", "", page)).replace("\u200b", "")
    return " ".join(text.split())


def tags_of(page: str) -> list[str]:
    return re.findall(r"</?([a-z0-9]+)", page)


def visible(value: str) -> str:
    """Return the value with its hidden and look-alike characters written out."""
    return escape.for_page(value)


def shown(value: str) -> str:
    """Return the value with its hidden characters visible, as every view shows it."""
    return " ".join(visible(value).split())


@pytest.mark.parametrize("escaped", VISIBLE)
@given(value=texts)
def test_nothing_hidden_survives(escaped: Callable[[str], str], value: str) -> None:
    """No control character, escape, separator or direction mark is left, and no second line."""
    assert hidden(escaped(value)) == []


@pytest.mark.parametrize(
    "escaped", [escape.for_terminal, escape.for_markdown, escape.for_markdown_code, escape.for_html]
)
@given(value=texts)
@example(value=":")
@example(value=" \xa0::error::x")
def test_no_line_starts_a_workflow_command(escaped: Callable[[str], str], value: str) -> None:
    """No line starts with two colons, neither of the value alone nor with the program's colon after it."""
    for line in (escaped(value), f"  {escaped(value)}: message"):
        assert not line.strip().startswith("::")


@pytest.mark.parametrize("escaped", VISIBLE)
@given(value=texts)
@example(value="###[##[")
def test_the_older_workflow_command_is_broken_up(escaped: Callable[[str], str], value: str) -> None:
    """The runner finds `##[` anywhere in a line, so no output has it."""
    assert "##[" not in escaped(value)


@given(value=texts)
def test_escaping_for_a_terminal_twice_changes_nothing(value: str) -> None:
    """Harmless text isn't changed."""
    assert escape.for_terminal(escape.for_terminal(value)) == escape.for_terminal(value)


def test_every_hidden_character_is_written_out() -> None:
    """All of Unicode is tried: directions, default-ignorable characters, and every blank but U+0020."""
    every = "".join(filter(is_hidden, map(chr, range(0x110000))))
    assert len(every) > 6000
    assert escape.for_terminal(every).isascii()


@pytest.mark.parametrize(
    ("value", "shown_as"),
    [
        ("p\u0430ypal", "p\\u0430ypal"),  # Cyrillic
        ("\u0430\u0489cme", "\\u0430\u0489cme"),  # With a mark around the letter (Me).
        ("p\u05b0\u0430y", "p\u05b0\\u0430y"),  # With a mark of another script (Mn).
        ("a\u0903\u0430", "a\u0903\\u0430"),  # With a mark that takes space (Mc).
        ("\u0440roduction", "\\u0440roduction"),
        ("g\u03bfod_2", "g\\u03bfod_2"),  # Greek
        ("a1\u0430", "a1\\u0430"),
        ("a\u0301\u0430", "a\u0301\\u0430"),  # A mark doesn't end a word.
        ("\uff41bc", "\\uff41bc"),  # fullwidth
        ("5\u00b5s", "5\\xb5s"),
        (
            "\u043f\u0440\u0438\u0432\u0435\u0442 world",
            "\u043f\u0440\u0438\u0432\u0435\u0442 world",
        ),  # These are separate words.
        ("\u043f\u0440\u0438-a.com", "\u043f\u0440\u0438-a.com"),
        ("\n\u043f\u0440\u0438", "\\n\u043f\u0440\u0438"),  # The n is from the escape.
        ("José, São Paulo: nº 1ª çã €", "José, São Paulo: nº 1ª çã €"),
        ("Jose\u0301", "Jose\u0301"),
        ("\u65e5\u672c\u8a9e 42", "\u65e5\u672c\u8a9e 42"),
        ("a\u2800b\xa0c\u3000d\ufe0f", "a\\u2800b\\xa0c\\u3000d\\ufe0f"),
    ],
)
def test_a_letter_that_only_looks_latin_is_written_out(value: str, shown_as: str) -> None:
    """This concerns letters of another script in a word with Latin ones, not words of one script, nor accents."""
    assert escape.for_terminal(value) == shown_as
    assert escape.for_page(value) == shown_as
    assert escape.for_workflow_data(value.strip("\n")) == shown_as.removeprefix("\\n")
    assert html.unescape(escape.for_markdown_block([value], language="text")).split("\n")[1] == shown_as


def test_every_familiar_character_is_latin() -> None:
    """The fast path for European texts and the full one give the same result for each character."""
    for code in range(0xA0, 0x2100):
        character = chr(code)
        if escape.for_terminal(f" {character}") == f" {character}" and unicodedata.category(character)[0] == "L":
            short, long = f"a{character}", f"a{character} \u4e2d"
            assert escape.for_terminal(long) == f"{escape.for_terminal(short)} \u4e2d"


@given(value=texts)
def test_escaped_workflow_data_is_decoded_to_the_same_text(value: str) -> None:
    """The runner decodes the percent escapes to the original lines."""
    data = escape.for_workflow_data(value)
    back = data.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")
    assert back.count("\n") == value.count("\n")
    assert escape.for_workflow_property(value).count(":") == escape.for_workflow_property(value).count(",") == 0


@given(value=texts)
def test_json_is_decoded_to_the_same_text(value: str) -> None:
    """The escapes of a JSON text are decoded to the same characters."""
    text = escape.for_json(json.dumps({value: [value, 1]}))
    assert json.loads(text) == {value: [value, 1]}
    assert "##[" not in text
    assert hidden(text) == []
    assert text.isascii()


@given(value=texts)
def test_html_is_decoded_to_the_same_text(value: str) -> None:
    """It is text in an element and in an attribute."""
    escaped = escape.for_html(value)
    assert html.unescape(escaped) == visible(value)
    assert not re.search(r"[<>\"']", escaped)


@pytest.mark.parametrize(("escaped", "tags"), [(escape.for_markdown, []), (escape.for_markdown_code, ["code"] * 2)])
@given(value=texts)
@example(value="\\")
@example(value="a\\|b")
@example(value="1) x")
def test_a_table_keeps_its_cells(escaped: Callable[[str], str], tags: list[str], value: str) -> None:
    """A rendered cell holds only the text, and the cells beside it don't move."""
    page = rendered(f"| a | b | c |\n| --- | --- | --- |\n| left | {escaped(value)} | right |\n\nafter\n")
    body = page[page.index("<tbody>") :]
    cells = re.findall(r"<td>(.*?)</td>", body, re.DOTALL)
    assert [cells[0], cells[2], len(cells)] == ["left", "right", 3]
    assert tags_of(cells[1]) == tags
    assert words_of(cells[1]) == shown(value)
    assert body.endswith("<p>after</p>\n")


@pytest.mark.parametrize(("escaped", "tags"), [(escape.for_markdown, []), (escape.for_markdown_code, ["code"] * 2)])
@pytest.mark.parametrize(("before", "around"), [("", ["p", "p"]), ("- ", ["ul", "li", "li", "ul"]), ("x ", ["p", "p"])])
@given(value=texts)
def test_running_text_is_no_markup(
    escaped: Callable[[str], str], tags: list[str], before: str, around: list[str], value: str
) -> None:
    """It is text at the start of a paragraph, in a list and within a line."""
    if not shown(value):
        return
    page = rendered(before + escaped(value))
    half = len(around) // 2
    assert tags_of(page) == [*around[:half], *tags, *around[half:]]
    assert words_of(page) == " ".join((before.strip("- ") + " " + shown(value)).split())


@given(value=texts)
def test_plain_markdown_mentions_and_links_nothing(value: str) -> None:
    """GitHub searches the text after rendering, and finds no mention, issue or address to link."""
    text = html.unescape(re.sub(r"<[^>]*>", "", rendered(f"x {escape.for_markdown(value)}")))
    assert not re.search(r"@[A-Za-z0-9]|#[0-9]|GH-[0-9]", text, re.IGNORECASE)
    assert not re.search(r"://|www\.", escape.for_markdown(value), re.IGNORECASE)


@given(value=texts)
def test_raw_code_mentions_no_user(value: str) -> None:
    """Even the raw text of inline code has no mention."""
    assert "@" not in escape.for_markdown_code(value)


@given(values=st.lists(texts, max_size=5))
def test_nothing_closes_a_code_block(values: list[str]) -> None:
    """Every line of a block is in the block, and the text after it is not."""
    lines = [f"- {value}" for value in values]
    page = rendered(escape.for_markdown_block(lines, language="diff") + "\n\nafter\n")
    assert page.endswith("<p>after</p>\n")
    assert [tag for tag in tags_of(page) if tag != "code"] == ["pre", "pre", "p", "p"]
    inside = html.unescape(re.sub(r"<[^>]*>", "", page.removesuffix("<p>after</p>\n"))).strip("\n")
    assert inside.split("\n") == ([visible(line) for line in lines] or [""])


@given(values=st.lists(texts, max_size=5))
def test_a_code_block_holds_no_workflow_command(values: list[str]) -> None:
    """The raw text in a log has none either."""
    block = escape.for_markdown_block(values, language="diff")
    assert "##[" not in block
    assert not any(line.strip().startswith("::") for line in block.splitlines())


def test_an_ordinary_url_stays_legible() -> None:
    """Only what needs an escape gets one."""
    url = "https://hooks.acme.com.br/plug/receive?key={secret:PLUG_SECRET_RECEIVE}&a=1"
    assert escape.for_terminal(url) == url
    assert escape.for_markdown_code(url) == f"`{url}`"
    assert escape.for_markdown_block([f"- {url}"], language="diff") == f"```diff\n- {url}\n```"
    assert escape.for_markdown("max_changed: 6 of 11 (50%), see api.base_url") == (
        "max_changed: 6 of 11 (50%), see api.base_url"
    )
