"""Escapes for data, one for each kind of output. No other module knows how an output is escaped.

See docs/contract.md#what-no-output-does.

URLs, descriptions, file names, answers and actor names are data. In every output, characters that are invisible or
look like others are written as escapes, markup is shown as text, no user is mentioned, and no line can be taken for a
command to GitHub's runner: the runner trims a line and looks for `::` at its start, and for `##[` anywhere.

Every function for a value takes any text, lone surrogates included, and returns one line. `for_json` takes a
whole JSON text, `for_markdown_block` the lines of a block.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache, lru_cache

# Characters that can't be seen, that change the direction of a text, or that look like a blank: Cc, Cf, Cs, Zl, Zp and
# Zs of Unicode except U+0020, its default-ignorable characters, and U+2800, a Braille pattern without a dot.
# They are listed here, as a loop over unicodedata's 1.1 million characters would add 0.2 s to every start.
_HIDDEN = (
    "["
    "\x00-\x1f\x7f-\xa0\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u1680\u17b4\u17b5"
    "\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
    "]"
)
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_LEADING_COLON = re.compile(r"(\s*):")

# The characters of European languages: none of them is invisible or of another script.
_FAMILIAR = r"[ -~¡-¬®-´¶-ÖØ-öø-ɏ‐-―‘-‟†-…€]*"
# An escape that an earlier step wrote. It is not part of a word: its letters are not the author's.
_ESCAPE = r"\\(?:[nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})"
_ORDINALS = "ªº"  # as in 1ª and nº: Latin letters, although their Unicode names don't begin with LATIN


def _show(match: re.Match[str]) -> str:
    return _write_out(match[0])


def _write_out(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _show_foreign(match: re.Match[str]) -> str:
    """Escape the letters of another script in a word with Latin letters, as they can look like Latin ones."""
    word = match[0]
    if word.isascii():
        return word
    scripts = [_find_script(character) for character in word]
    if "LATIN" not in scripts:
        return word
    return "".join(
        character if script in ("", "LATIN") else _write_out(character)
        for character, script in zip(word, scripts, strict=True)
    )


@cache
def _find_script(character: str) -> str:
    """Return the first word of a letter's name in Unicode, such as LATIN or CYRILLIC; "" for any other character."""
    import unicodedata  # late, as few texts need it

    if unicodedata.category(character)[0] != "L" and unicodedata.category(character) != "Nl":
        return ""
    return "LATIN" if character in _ORDINALS else unicodedata.name(character, "UNNAMED").partition(" ")[0]


@lru_cache(maxsize=64)
def _find_words(marks: str) -> re.Pattern[str]:
    """Return a pattern for words: letters and digits with the combining marks of the text."""
    return re.compile(rf"{_ESCAPE}|[\w{marks}]+")


def _find_marks(text: str) -> str:
    """Return the combining marks of a text (Mn, Mc, Me), each once, so that no list of all 2,400 is needed."""
    import unicodedata  # late, as few texts need it

    return "".join(sorted(char for char in set(text) if not char.isascii() and unicodedata.category(char)[0] == "M"))


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern at its first use: only few texts need it, and to compile it takes longer than a whole plan."""
    return re.compile(pattern)


def _visible(value: str) -> str:
    if value.isascii() and value.isprintable():
        return value
    if _compiled(_FAMILIAR).fullmatch(value):
        return value
    shown = _compiled(_HIDDEN).sub(_show, value)
    return shown if shown.isascii() else _find_words(_find_marks(shown)).sub(_show_foreign, shown)


def is_hidden(character: str) -> bool:
    """Return whether a character is escaped because it can't be seen, changes a text's direction or looks blank."""
    return _compiled(_HIDDEN).fullmatch(character) is not None


# --- terminal, log, workflow command, JSON ---------------------------------------------------------


def for_terminal(value: str) -> str:
    """Escape a value for a line of a terminal or a log, at any position of the line.

    A single colon at the start is escaped too: the text before the value may end in another one.
    """
    shown = _visible(value).replace("##[", "#\\x23[")
    return _LEADING_COLON.sub(r"\1\\x3a", shown, count=1) if _LEADING_COLON.match(shown) else shown


_SEEN_IN_COMMITS = re.compile(r"@|\#(?=[0-9])|:(?=//)|(?<=GH)-(?=[0-9])", re.IGNORECASE)


def for_commit(value: str) -> str:
    """Escape a value for a commit's message, so that GitHub finds no user, issue or address in it."""
    return _SEEN_IN_COMMITS.sub(lambda match: f"\\x{ord(match[0]):02x}", for_terminal(value))


def for_workflow_data(value: str) -> str:
    """Escape the text after the second `::` of a workflow command. It may have several lines."""
    lines = re.split(r"(\r|\n)", value)
    shown = "".join(line if line in ("\r", "\n") else _visible(line) for line in lines)
    return encode_workflow_data(shown.replace("##[", "#\\x23["))


def encode_workflow_data(value: str) -> str:
    """Encode a value that the runner must get unchanged, such as one that it is to mask."""
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def for_workflow_property(value: str) -> str:
    """Escape the value of a property (`file=`, `title=`) of a workflow command."""
    return for_workflow_data(value).replace(":", "%3A").replace(",", "%2C")


def for_json(text: str) -> str:
    """Escape `##[` and DEL in a text that `json.dumps` made. Its value stays the same.

    In JSON both occur only inside strings, where the escape means the same character.
    """
    return text.replace("##[", "#\\u0023[").replace("\x7f", "\\u007f")


# --- HTML and Markdown -----------------------------------------------------------------------------

# Entities are never markup, neither in Markdown nor in a table nor in HTML, so they serve for all three.
# They are named ones, as `&#64;` looks like a mention of issue 64. HTML has no names for `~` and `-`.
_ENTITIES = {
    "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;", "|": "&vert;", "`": "&grave;",
    "\\": "&bsol;", "*": "&ast;", "_": "&lowbar;", "[": "&lbrack;", "]": "&rbrack;", "(": "&lpar;", ")": "&rpar;",
    "{": "&lbrace;", "}": "&rbrace;", "!": "&excl;", "$": "&dollar;", "#": "&num;", "@": "&commat;",
    ":": "&colon;", ".": "&period;", "+": "&plus;", "=": "&equals;", "~": "&#126;", "-": "&#45;",
}  # fmt: skip
# GitHub looks for mentions in the rendered text, where an entity is a character again, so this gap breaks them up.
_GAP = "&ZeroWidthSpace;"

_IN_TEXT = re.compile(
    r"(?P<start>\A(?:[-+=:]|\#(?![0-9])))"
    r"|(?P<number>\A[0-9]+)(?P<delimiter>[.)])"  # "1." at a start is a list
    r"|(?P<markup>[&<>|`*\[\]~$]|\\(?![A-Za-z0-9])|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|:(?=//))"
    r"|(?P<www>(?i:www))\."
    r"|(?P<mention>@|\#(?=[0-9])|(?i:GH-)(?=[0-9]))"
)
# The characters are listed, as to compile the set of all others would slow down every start.
_IN_CODE = re.compile(r"[!\"#$&'()*+:<=>@\[\\\]_`{|}~]|(?i:(?<=www))\.")
_NOT_IN_A_SPAN = re.compile(r"[`|<>@]|##\[")


def _escape_in_text(match: re.Match[str]) -> str:
    if match["number"] is not None:
        return match["number"] + _ENTITIES[match["delimiter"]]
    if match["www"] is not None:
        return match["www"] + _ENTITIES["."]
    if match["mention"] is not None:
        return match["mention"] + _GAP
    return _ENTITIES[match["start"] or match["markup"]]


def for_markdown(value: str) -> str:
    """Escape a value for text or a table cell in Markdown: nothing in it is markup, a link or a mention."""
    return _IN_TEXT.sub(_escape_in_text, _visible(value).strip())


def for_markdown_code(value: str, *, in_html: bool = False) -> str:
    """Return a value as inline code, in text, a table cell or (`in_html`) an HTML element within Markdown.

    The value is in plain backticks if it is safe there, so that the raw Markdown stays legible. A value that could
    close the span, end the cell or look like a mention in the raw text is in `<code>`, with entities.
    """
    shown = _visible(value)
    if not in_html and shown and shown == shown.strip() and not _NOT_IN_A_SPAN.search(shown):
        return f"`{shown}`"
    # GitHub links an e-mail address within `<code>` too. A comment prevents that and, unlike a zero-width gap, is not
    # copied with the text.
    return f"<code>{_entities(shown).replace('&commat;', '<!-- -->&commat;')}</code>"


def for_markdown_block(lines: Iterable[str], *, language: str) -> str:
    """Return lines as a code block that none of them can close. `language` must not be data."""
    shown = [_visible(line) for line in lines]
    if not any(re.search(r"[`<>@]|##\[|\A\s*:", line) for line in shown):
        return "\n".join([f"```{language}", *shown, "```"])
    return "\n".join([f'<pre lang="{language}">', *(_entities(line) or " " for line in shown), "</pre>"])


def _entities(shown: str) -> str:
    return _IN_CODE.sub(lambda match: _ENTITIES[match[0]], shown)


def for_html(value: str) -> str:
    """Escape a value for the text of an HTML element or a quoted attribute."""
    import html  # late, as only a report shows any

    shown = html.escape(_visible(value), quote=True).replace("##[", "#&num;[")
    return _LEADING_COLON.sub(r"\1&colon;", shown, count=1) if _LEADING_COLON.match(shown) else shown


# --- a page that shows its data by a script ----------------------------------------------------------


def for_page(value: str) -> str:
    """Escape a value that a script puts into a page with `textContent`, where markup is plain text already."""
    return _visible(value)
