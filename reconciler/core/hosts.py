"""Hosts of URLs: what their spelling means, and which addresses are special (CONTRACT §2).

A host is a DNS name of two or more labels or a public address in canonical form. Every other spelling of an
address (`127.1`, `0x7f000001`, `[::ffff:10.0.0.1]`) is refused: programs differ in what they take it for.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network

Fault = tuple[str, str]  # a predicate ("names no host"), and what would be right

MAX_HOST = 253  # RFC 1035, without the root's dot
LOCALHOST = "localhost"

# The IANA registries of special-purpose addresses, what isn't reachable from everywhere or is no single server.
# Written out, as `ipaddress.is_global` differs between patch releases of Python.
_SPECIAL_V4: tuple[tuple[IPv4Network, str], ...] = tuple(
    (IPv4Network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", "an unspecified"),
        ("10.0.0.0/8", "a private"),
        ("100.64.0.0/10", "a carrier's shared"),
        ("127.0.0.0/8", "a loopback"),
        ("169.254.0.0/16", "a link-local"),
        ("172.16.0.0/12", "a private"),
        ("192.0.0.0/24", "a reserved"),
        ("192.0.2.0/24", "a documentation"),
        ("192.88.99.0/24", "a 6to4 relay"),
        ("192.168.0.0/16", "a private"),
        ("198.18.0.0/15", "a benchmarking"),
        ("198.51.100.0/24", "a documentation"),
        ("203.0.113.0/24", "a documentation"),
        ("224.0.0.0/4", "a multicast"),
        ("240.0.0.0/4", "a reserved"),
    )
)
_SPECIAL_V6: tuple[tuple[IPv6Network, str], ...] = tuple(
    (IPv6Network(network), kind)
    for network, kind in (
        ("::1/128", "a loopback"),
        ("::/128", "an unspecified"),
        ("::ffff:0:0/96", "an IPv4-mapped"),
        ("::/96", "an IPv4-compatible"),
        ("64:ff9b::/96", "a NAT64"),
        ("64:ff9b:1::/48", "a NAT64"),
        ("100::/64", "a discard-only"),
        ("2001::/32", "a Teredo"),
        ("2001:db8::/32", "a documentation"),
        ("2001::/23", "a reserved"),
        ("2002::/16", "a 6to4"),
        ("3fff::/20", "a documentation"),
        ("fc00::/7", "a private"),
        ("fe80::/10", "a link-local"),
        ("fec0::/10", "a private"),
        ("ff00::/8", "a multicast"),
    )
)
_GLOBAL_V6 = IPv6Network("2000::/3")  # all that IANA gives out for single servers

_LABEL = re.compile(r"[A-Za-z0-9_-]{1,63}")
_NUMBER = re.compile(
    r"[0-9]+|0[xX][0-9A-Fa-f]*"
)  # what ends a host that is an address (WHATWG URL, "ends in a number")
_DIGITS = re.compile(r"0[xX](?P<hex>[0-9A-Fa-f]*)|0(?P<octal>[0-7]+)|(?P<decimal>[0-9]+)")


def find_special_range(address: IPv4Address | IPv6Address) -> str | None:
    """Which special range an address is in ("a private"); None for a public one.

    Also for addresses that a name resolved to: the program connects to none of them (CONTRACT §8).
    """
    if isinstance(address, IPv4Address):
        return next((kind for network, kind in _SPECIAL_V4 if address in network), None)
    found = next((kind for network, kind in _SPECIAL_V6 if address in network), None)
    return found or (None if address in _GLOBAL_V6 else "a reserved")


@lru_cache(maxsize=65536)
def is_loopback_host(host: str) -> bool:
    """`localhost`, 127/8 in canonical form, `::1`; `host` in lower case, an IPv6 address without brackets."""
    if host in (LOCALHOST, "::1"):
        return True
    try:
        return IPv4Address(host).is_loopback
    except AddressValueError:
        return False


@lru_cache(maxsize=65536)
def find_host_fault(host: str) -> Fault | None:
    """Why a receiver's host is refused. `host` as written, an IPv6 address in its brackets; user info is gone."""
    if host.startswith("[") or host.endswith("]"):
        return _find_v6_fault(host)
    lower = host.lower()
    if not host:
        return "names no host", "write https://hooks.example.com.br/…"
    if host.endswith("."):
        return "has a host with a dot at its end", "leave the last dot out"
    if lower == LOCALHOST or lower.endswith("." + LOCALHOST):
        return "has localhost as its host", "Plug must reach the receiver from the internet"
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _find_v4_fault(host, labels)
    return _find_name_fault(host, labels)


def _find_name_fault(host: str, labels: list[str]) -> Fault | None:
    for label in labels:
        if not label:
            return "has a host with two dots in a row or a dot at its start", "between two dots stands a name"
        if not _LABEL.fullmatch(label):
            return _explain_label(label)
    if len(labels) < 2:
        return "has a host of one label only", "write the whole name, as in hooks.example.com.br"
    if len(host) > MAX_HOST:
        return f"has a host of more than {MAX_HOST} characters", ""
    return None


def _explain_label(label: str) -> Fault:
    if "{" in label or "}" in label:
        return "has a brace in its host", "a {secret:NAME} or a literal brace may stand in the path or the query only"
    if len(label) > 63 and _LABEL.fullmatch(label[:63]):
        return "has a host with a label of more than 63 characters", ""
    return "has a host with a character that no DNS name has", "letters, digits, hyphen and underscore, between dots"


def _find_v4_fault(host: str, labels: list[str]) -> Fault | None:
    address = _parse_any_v4(labels)
    if address is None:
        return (
            "has a host whose last label is a number",
            "a DNS name ends in letters; an IPv4 address has four decimals",
        )
    kind = find_special_range(address)
    if kind is not None:
        return f"has {kind} address as its host", "Plug must reach the receiver from the internet"
    if str(address) != host:
        return "has an IPv4 address as its host that isn't in canonical form", f"write {address}"
    return None


def _parse_any_v4(labels: list[str]) -> IPv4Address | None:
    """As inet_aton reads it: one to four parts, decimal, octal or hex, the last filling what is left."""
    if len(labels) > 4:
        return None
    numbers = []
    for label in labels:
        match = _DIGITS.fullmatch(label)
        if match is None or len(label) > 40:  # longer than any number that could fit
            return None
        if match["hex"] is not None:
            numbers.append(int(match["hex"] or "0", 16))
        else:
            numbers.append(int(match["octal"], 8) if match["octal"] else int(match["decimal"]))
    *heads, last = numbers
    if any(head > 255 for head in heads) or last >= 256 ** (4 - len(heads)):
        return None
    value = last
    for index, head in enumerate(heads):
        value += head << (8 * (3 - index))
    return IPv4Address(value)


def _find_v6_fault(host: str) -> Fault | None:
    inner = host[1:-1]
    try:
        if host[:1] + host[-1:] != "[]" or "%" in inner:
            raise AddressValueError
        address = IPv6Address(inner)
    except AddressValueError:
        return "has brackets around what is no IPv6 address", "write https://[2001:…]/…, without a zone"
    kind = find_special_range(address)
    if kind is not None:
        return f"has {kind} address as its host", "Plug must reach the receiver from the internet"
    if str(address) != inner:
        return "has an IPv6 address as its host that isn't in canonical form", f"write [{address}]"
    return None
