"""The parts of a URL, and the checks of webhooks' URLs and of base URLs (docs/manifests.md, docs/settings.md)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import lru_cache

from reconciler.core.fill import MAX_URL_BYTES, TOO_LONG, fill_secrets, split_secrets
from reconciler.core.hosts import find_host_fault, is_loopback_host
from reconciler.model import Fault
from reconciler.text.counts import name_some
from reconciler.text.escape import is_hidden

ONE_LINE = "write the URL in one line: a block (>, |) or a line break puts a blank or a line end into it"
SECRET_STAND_IN = "x"  # noqa: S105 - in place of a secret while the rest of the URL is checked

_SHAPE = re.compile(r"(https?)://([^/?]*)(.*)", re.DOTALL)
_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_INVALID_PORT = Fault("has an invalid port", "write a port from 1 to 65535, or leave it out")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")
_NON_ASCII = re.compile(r"[^\x00-\x7f]")
_TWICE = re.compile(r"https?://https?:(?://)?", re.IGNORECASE)
_QUOTES = frozenset("\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2039\u203a\u00ab\u00bb")
_TEMPLATE_WORD = r"[A-Za-z_][A-Za-z0-9_.:-]{0,99}"
_OTHER_TEMPLATE = re.compile(
    rf"(?<!\{{)\{{\{{\s{{0,9}}(?P<braces>{_TEMPLATE_WORD})\s{{0,9}}\}}\}}(?!\}})"
    rf"|\$\{{(?P<dollar>[^{{}}]{{0,99}})\}}|\$\((?P<call>[^()]{{0,99}})\)"
    rf"|<(?P<angle>[A-Za-z_][\w -]{{0,99}})>|%\((?P<percent>[A-Za-z_]\w{{0,99}})\)s",
    re.ASCII,
)

# The usual form of a valid URL in its text form. This fast check serves for the seventy thousand URLs of a large fleet.
_PLAIN_PATTERN = r"https://([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+)(?::[1-9][0-9]{0,3})?(?:[/?][!\"$-\[\]-~]*)?"
_PLAIN = re.compile(_PLAIN_PATTERN, re.ASCII)
_PLAIN_LINE = re.compile(f"^{_PLAIN_PATTERN}$", re.ASCII | re.MULTILINE)


def find_plain_hosts(lines: str) -> list[str]:
    """Return the host, as it is written, of each line that is a URL of the usual form.

    Such a URL is valid (see `find_url_fault`) if its host has no fault and it is not too long. One call serves for
    many URLs.
    """
    return _PLAIN_LINE.findall(lines)


def find_url_fault(text: str, *, allow_local: bool) -> Fault | None:
    """Return what is wrong with a webhook's URL in its text form. The values of secrets are not checked here."""
    plain = _PLAIN.fullmatch(text)
    if plain is not None and len(text) <= MAX_URL_BYTES and find_host_fault(plain[1]) is None:
        return None
    if text.isascii() and "{" not in text and "}" not in text:
        return _find_sent_fault(text, allow_local=allow_local)
    fault = _find_misplaced_secret(text)
    if fault is not None:
        return fault
    return _find_sent_fault(fill_secrets(text, lambda name: SECRET_STAND_IN), allow_local=allow_local)


def _find_misplaced_secret(text: str) -> Fault | None:
    """Refuse a secret before the path: it could choose the host that gets the messages, unseen by the checks."""
    start = text.find("{secret:")
    if start < 0:
        return None
    head = text[:start]
    _, separator, rest = head.partition("://")
    if not separator or not ("/" in rest or "?" in rest):
        return Fault("a {secret:…} is before the path", "put it into the path or the query")
    return None


def find_other_template(text: str) -> tuple[str, str] | None:
    """Return a part of a URL as it is written that looks like another tool's template, and the name in it."""
    found = _OTHER_TEMPLATE.search(text)
    return None if found is None else (found[0], str(found[found.lastgroup or 0]).strip())


def find_non_ascii(text: str) -> int | None:
    """Return the offset of the first character outside ASCII."""
    found = None if text.isascii() else _NON_ASCII.search(text)
    return None if found is None else found.start()


def find_filled_fault(url: str, *, allow_local: bool) -> str | None:
    """Return what is wrong with a URL whose secrets are filled in, in a text that repeats nothing of it."""
    fault = _find_sent_fault(url, allow_local=allow_local)
    return None if fault is None else fault.message


def find_secret_change(value: str, *, in_query: bool) -> Fault | None:
    """Return why a receiver would get another value than the secret's, in a text that repeats nothing of it.

    `in_query`: the value is filled in behind the first `?` of the URL, else into the path.
    """
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'`":
        return Fault("has quotes around it, which are sent along", "store the bare value")
    if "%" in value:
        hint = "leave it, if the value was percent-encoded for the URL; else write %25 in its place"
        return Fault("holds a '%', which the receiver decodes", hint)
    for character, (effect, encoded) in (_CHANGED_IN_QUERY if in_query else _CHANGED_IN_PATH).items():
        if character in value:
            return Fault(f"holds a '{character}', {effect}", f"write {encoded} in its place")
    return None


def find_secret_places(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the name of each secret of a URL's text form, and whether it is in the query."""
    literals, names = split_secrets(text)
    in_query = False
    for literal, name in zip(literals, names, strict=False):
        in_query = in_query or "?" in literal
        yield name, in_query


_CHANGED_IN_QUERY = {
    "&": ("which ends the value in a query", "%26"),
    "+": ("which is read as a blank in a query", "%2B"),
}
_CHANGED_IN_PATH = {
    "/": ("which ends a part of the path", "%2F"),
    "?": ("which ends the path", "%3F"),
}


def find_secret_fault(value: str) -> str | None:
    """Return why a secret's value can't be in a URL, in a text that repeats nothing of it."""
    if not value:
        return "is empty"
    if any(char.isspace() for char in value):
        return "holds white space (often a line end from copying)"
    if not value.isascii():
        return "holds a character outside ASCII (percent-encode it)"
    if _UNPRINTABLE.search(value):
        return "holds a control character"
    if "#" in value:
        return "holds a '#' (percent-encode it as %23)"
    if "\\" in value:
        return "holds a backslash (percent-encode it as %5C)"
    return None


def _find_sent_fault(url: str, *, allow_local: bool) -> Fault | None:
    fault = find_character_fault(url)
    if fault is not None:
        return fault
    if _TWICE.match(url):
        return Fault("begins with https:// twice", "remove one of the two")
    match = _SHAPE.fullmatch(url)
    if match is None:
        return Fault("is not an https URL", "write https://, in lower case, a host and a path")
    scheme, authority, _ = match.groups()
    if "@" in authority:
        hint = "put a secret into the path or the query, as {secret:PLUG_SECRET_NAME}"
        return Fault("holds user information (an '@' before the path)", hint)
    host, port = _split_authority(authority)
    if not _is_port(port):
        return _INVALID_PORT
    if allow_local and is_loopback_host(host):
        return None
    if scheme != "https":
        return Fault("is not https", "Plug refuses a webhook that is not https")
    return find_host_fault(host)


def find_character_fault(url: str) -> Fault | None:
    """Return what is wrong with the characters of a URL, or of a part of one."""
    offset = find_non_ascii(url)
    if offset is not None:
        return _describe_non_ascii(url[offset])
    if len(url) > MAX_URL_BYTES:
        return TOO_LONG
    if " " in url or _UNPRINTABLE.search(url):
        return _find_blank_fault(url)
    if "\\" in url:
        return Fault("holds a backslash", "write /, or percent-encode it as %5C")
    if "#" in url:
        return Fault("holds a fragment (#…), which is never sent", "remove it, or percent-encode it as %23")
    return None


def _describe_non_ascii(character: str) -> Fault:
    import unicodedata  # late: few URLs need it

    unnamed = "a control character" if unicodedata.category(character) == "Cc" else "a character without a name"
    name = unicodedata.name(character, unnamed).lower()
    if character in _QUOTES:
        hint = "remove it: a text program made it of a straight quote. Write straight quotes around the URL, or none"
    elif is_hidden(character):
        hint = "remove it: it looks like a blank, or like nothing"
    elif unicodedata.category(character) == "Pd":
        hint = "write a plain hyphen, if that is what you mean, else percent-encode it"
    else:
        hint = "write a host as punycode (xn--…) and percent-encode the rest"
    return Fault(f"holds a character outside ASCII: U+{ord(character):04X} ({name})", hint)


def _find_blank_fault(url: str) -> Fault:
    if "\n" in url.strip():
        return Fault("holds a line end", ONE_LINE)
    if url != url.rstrip():
        return Fault("ends in white space", "remove it")
    if url != url.lstrip():
        return Fault("begins with white space", "remove it")
    return Fault("holds white space or a control character", "percent-encode it, as in %20")


@lru_cache(maxsize=65536)
def _split_authority(authority: str) -> tuple[str, str | None]:
    """Return the host (an IPv6 address with its brackets) and the port; None without a colon."""
    if authority.startswith("["):
        host, bracket, rest = authority.partition("]")
        if rest and not rest.startswith(":"):
            return authority, None
        return host + bracket, rest[1:] if rest else None
    host, colon, port = authority.partition(":")
    return host, port if colon else None


def _is_port(port: str | None) -> bool:
    """Return whether the port is valid; None means that the URL has none."""
    return port is None or (_PORT.fullmatch(port) is not None and int(port) <= 65535)


def host_of(url: str) -> str:
    """Return the host of a URL (text form or as sent) in lower case, without its port; "" without a host."""
    scheme, _, rest = url.partition("://")
    return _host_of_authority(rest.partition("/")[0]) if scheme in ("https", "http") else ""


@lru_cache(maxsize=65536)
def _host_of_authority(authority: str) -> str:
    """Return the host in lower case. The text may include a query, from a URL without a path."""
    return _split_authority(authority.partition("?")[0])[0].lower()


def host_with_port_of(url: str) -> str:
    """Return the host of a URL in lower case, with its port if it has one; "" without a host."""
    scheme, _, rest = url.partition("://")
    return rest.partition("/")[0].partition("?")[0].lower() if scheme.lower() in ("https", "http") else ""


def split_url(url: str) -> tuple[str, str, str]:
    """Return scheme, authority and request target of a valid URL. The target begins with `/`."""
    match = _SHAPE.fullmatch(url)
    assert match is not None
    scheme, authority, rest = match.groups()
    return scheme, authority, rest if rest.startswith("/") else f"/{rest}"


def port_of(url: str) -> int:
    """Return the port of a valid URL, written or not."""
    scheme, authority, _ = split_url(url)
    _, port = _split_authority(authority)
    return int(port) if port else {"http": 80, "https": 443}[scheme]


def is_loopback_url(url: str) -> bool:
    return is_loopback_host(host_of(url))


def find_base_url_fault(url: str, allowed_hosts: Collection[str]) -> Fault | None:
    """Return what is wrong with a base URL: a token may be sent to allowed hosts alone."""
    fault = find_character_fault(url)
    if fault is not None:
        return fault
    match = _SHAPE.fullmatch(url)
    if match is None:
        return Fault(
            "is not an https URL",
            "write one such as https://www.plugchat.com.br, or http://127.0.0.1:8787 of a sandbox",
        )
    scheme, authority, rest = match.groups()
    if "@" in authority:
        return Fault("holds user information (an '@' before the path)", "write the host alone")
    if "?" in rest:
        return Fault("holds a query", "write scheme, host and at most a path")
    if "{" in url or "}" in url:
        return Fault("holds a brace", "nothing is filled in here")
    if any(segment in (".", "..") for segment in re.sub("%2[eE]", ".", rest).split("/")):
        return Fault("has . or .. in its path", "write the path without them")
    host, port = _split_authority(authority)
    if not _is_port(port):
        return _INVALID_PORT
    if is_loopback_host(host):
        return None
    if scheme != "https":
        return Fault("is not https", "only loopback may be plain http")
    if host.lower() not in {allowed.lower() for allowed in allowed_hosts}:
        allowed = name_some([*allowed_hosts]) or "none"
        return Fault("is not a host that a token may be sent to", f"allowed: {allowed} (setting api.allowed_hosts)")
    return None
