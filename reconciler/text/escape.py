"""Data made harmless for the place it is shown in: the only module that knows those places.

See docs/contract.md#what-no-output-does.

URLs, descriptions, file names, answers and actor names are data. Wherever they are shown, what is hidden or looks like
something else is written out, markup is text, nobody is mentioned, and no line can pass for a command to GitHub's
runner: it trims a line and looks for `::` at its start, and for `##[` anywhere.

Every function for a value takes any text at all, lone surrogates included, and returns one line. `for_json` takes a
whole JSON text, `for_markdown_block` the lines of a block.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache, lru_cache

# What can't be seen, steers the direction of a text, or looks like a blank without being one: Cc, Cf, Cs, Zl, Zp and Zs
# of Unicode but for U+0020, its default-ignorable characters, and U+2800, a Braille pattern without a dot.
# Written out, as asking unicodedata for each of 1.1 million characters would cost every start 0.2 s.
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

# What a text in a European language is written with: nothing in it is hidden, nor of another script.
_FAMILIAR = r"[ -~¡-¬®-´¶-ÖØ-öø-ɏ‐-―‘-‟†-…€]*"
# An escape that is in the text already. It belongs to no word: its letters are not the author's.
_ESCAPE = r"\\(?:[nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})"
_ORDINALS = "ªº"  # of 1ª and nº: Latin letters, although their names don't begin so


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
    """Write out the letters of another script in a word with Latin ones: they can look the same."""
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
    """Return what finds the words of a text: letters and digits, joined by the combining marks that the text has."""
    return re.compile(rf"{_ESCAPE}|[\w{marks}]+")


def _find_marks(text: str) -> str:
    """Return the combining marks of a text (Mn, Mc, Me), each once. No list of all 2,400 is needed for that."""
    import unicodedata  # late, as few texts need it

    return "".join(sorted(char for char in set(text) if not char.isascii() and unicodedata.category(char)[0] == "M"))


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern where a text is not ASCII, which few are: it takes longer than to show a whole plan."""
    return re.compile(pattern)


def _visible(value: str) -> str:
    if value.isascii() and value.isprintable():
        return value
    if _compiled(_FAMILIAR).fullmatch(value):
        return value
    shown = _compiled(_HIDDEN).sub(_show, value)
    return shown if shown.isascii() else _find_words(_find_marks(shown)).sub(_show_foreign, shown)


# --- terminal, log, workflow command, JSON ---------------------------------------------------------


def for_terminal(value: str) -> str:
    """For a line of a terminal or a log, wherever in the line the value stands.

    A colon at the start is shown escaped even when it is alone: the text around the value may bring another.
    """
    shown = _visible(value).replace("##[", "#\\x23[")
    return _LEADING_COLON.sub(r"\1\\x3a", shown, count=1) if _LEADING_COLON.match(shown) else shown


_SEEN_IN_COMMITS = re.compile(r"@|\#(?=[0-9])|:(?=//)|(?<=GH)-(?=[0-9])", re.IGNORECASE)


def for_commit(value: str) -> str:
    """For a line of a commit's message, in which GitHub looks for people, issues and addresses: it finds none."""
    return _SEEN_IN_COMMITS.sub(lambda match: f"\\x{ord(match[0]):02x}", for_terminal(value))


def for_workflow_data(value: str) -> str:
    """For what follows the second `::` of a workflow command; its lines stay lines."""
    lines = re.split(r"(\r|\n)", value)
    shown = "".join(line if line in ("\r", "\n") else _visible(line) for line in lines)
    return encode_workflow_data(shown.replace("##[", "#\\x23["))


def encode_workflow_data(value: str) -> str:
    """Encode a value that the runner must get unchanged, such as one that it is to mask."""
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def for_workflow_property(value: str) -> str:
    """For the value of a property (`file=`, `title=`) of a workflow command."""
    return for_workflow_data(value).replace(":", "%3A").replace(",", "%2C")


def for_json(text: str) -> str:
    """For a text that `json.dumps` made: it says the same, and no log line can hold `##[` or a DEL.

    A `#` or DEL of a JSON text stands inside a string, where the escape means the same character.
    """
    return text.replace("##[", "#\\u0023[").replace("\x7f", "\\u007f")


# --- HTML and Markdown -----------------------------------------------------------------------------

# Entities are never markup, neither in Markdown nor in a table nor in HTML, so all three are served by them.
# Named ones, as `&#64;` reads like a mention of issue 64; `~` and `-` have no name of their own.
_ENTITIES = {
    "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;", "|": "&vert;", "`": "&grave;",
    "\\": "&bsol;", "*": "&ast;", "_": "&lowbar;", "[": "&lbrack;", "]": "&rbrack;", "(": "&lpar;", ")": "&rpar;",
    "{": "&lbrace;", "}": "&rbrace;", "!": "&excl;", "$": "&dollar;", "#": "&num;", "@": "&commat;",
    ":": "&colon;", ".": "&period;", "+": "&plus;", "=": "&equals;", "~": "&#126;", "-": "&#45;",
}  # fmt: skip
# What GitHub looks for in the rendered text, where an entity is a character again: a gap breaks it up.
_GAP = "&ZeroWidthSpace;"

_IN_TEXT = re.compile(
    r"(?P<start>\A(?:[-+=:]|\#(?![0-9])))"
    r"|(?P<number>\A[0-9]+)(?P<delimiter>[.)])"  # "1." at a start is a list
    r"|(?P<markup>[&<>|`*\[\]~$]|\\(?![A-Za-z0-9])|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|:(?=//))"
    r"|(?P<www>(?i:www))\."
    r"|(?P<mention>@|\#(?=[0-9])|(?i:GH-)(?=[0-9]))"
)
# The characters are listed: compiling the set of all others takes as long as importing a room.
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
    """For running text or a table cell in Markdown: nothing in it is markup, a link or a mention."""
    return _IN_TEXT.sub(_escape_in_text, _visible(value).strip())


def for_markdown_code(value: str, *, in_html: bool = False) -> str:
    """As inline code, in running text, a table cell or (`in_html`) an HTML element within Markdown.

    Plain backticks wherever they hold the value, so that the Markdown stays legible as it is; `<code>` with
    entities for a value that could close a span, cut a cell or, in the raw text, look like a mention.
    """
    shown = _visible(value)
    if not in_html and shown and shown == shown.strip() and not _NOT_IN_A_SPAN.search(shown):
        return f"`{shown}`"
    # GitHub links an e-mail address within `<code>` too; a zero-width gap would be copied with it, a comment is not
    return f"<code>{_entities(shown).replace('&commat;', '<!-- -->&commat;')}</code>"


def for_markdown_block(lines: Iterable[str], *, language: str) -> str:
    """Lines as a code block that none of them can close; `language` is ours, never data."""
    shown = [_visible(line) for line in lines]
    if not any(re.search(r"[`<>@]|##\[|\A\s*:", line) for line in shown):
        return "\n".join([f"```{language}", *shown, "```"])
    return "\n".join([f'<pre lang="{language}">', *(_entities(line) or " " for line in shown), "</pre>"])


def _entities(shown: str) -> str:
    return _IN_CODE.sub(lambda match: _ENTITIES[match[0]], shown)


def for_html(value: str) -> str:
    """For the text of an HTML element or a quoted attribute."""
    import html  # late, as only a report shows any

    shown = html.escape(_visible(value), quote=True).replace("##[", "#&num;[")
    return _LEADING_COLON.sub(r"\1&colon;", shown, count=1) if _LEADING_COLON.match(shown) else shown


# --- a page that shows its data by a script ----------------------------------------------------------


def for_page(value: str) -> str:
    """For a text that a script puts into a page with `textContent`: markup is text there as it is."""
    return _visible(value)
