"""Checks of hosts and addresses: public receivers, and loopback.

See docs/manifests.md, docs/settings.md.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from functools import lru_cache

from reconciler.model import Fault

MAX_HOST_LENGTH = 253

_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII)
_NUMERIC_LABEL = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*", re.ASCII)

# ranges whose addresses embed another address; a public receiver has no such address
_EMBEDDING = (
    ipaddress.ip_network("64:ff9b::/96"),  # NAT64
    ipaddress.ip_network("64:ff9b:1::/48"),
    ipaddress.ip_network("2002::/16"),  # 6to4
    ipaddress.ip_network("2001::/32"),  # Teredo
    ipaddress.ip_network("::/96"),  # IPv4-compatible
    ipaddress.ip_network("::ffff:0:0/96"),  # IPv4-mapped
    ipaddress.ip_network("::ffff:0:0:0/96"),  # IPv4-translated
)
# special ranges that older versions of the standard library call global
_SPECIAL = (
    ipaddress.ip_network("192.88.99.0/24"),  # 6to4 relays
    ipaddress.ip_network("192.0.0.0/24"),
    ipaddress.ip_network("100.64.0.0/10"),
    ipaddress.ip_network("100::/64"),
    ipaddress.ip_network("2001:20::/28"),
    ipaddress.ip_network("3fff::/20"),
    ipaddress.ip_network("5f00::/16"),
    ipaddress.ip_network("fec0::/10"),
)


@lru_cache(maxsize=65536)
def find_host_fault(host: str) -> Fault | None:
    """Return the reason why a host can't be a public receiver; None if it can."""
    if not host:
        return Fault("has no host", "write a host of two or more labels, as in hooks.example.com.br")
    if host.startswith("["):
        return _find_address_fault(host, host[1:-1] if host.endswith("]") else "", ipaddress.IPv6Address)
    labels = host.split(".")
    if _NUMERIC_LABEL.fullmatch(labels[-1]):
        return _find_address_fault(host, host, ipaddress.IPv4Address)
    if labels[-1].lower() == "localhost":
        return Fault(f"the host {host} is this machine itself", "Plug calls the URL over the internet")
    if host.endswith("."):
        return Fault(f"the host {host} ends in a dot", "leave the dot out")
    if "%" in host:
        return Fault("the host is percent-encoded", "write it in plain letters")
    if not all(_LABEL.fullmatch(label) for label in labels) or len(host) > MAX_HOST_LENGTH:
        return Fault(
            f"the host {host} is not a DNS name", "write labels of 1 to 63 letters, digits, hyphens and underscores"
        )
    if len(labels) < 2:
        return Fault(f"the host {host} has one label only", "write a whole name, as in hooks.example.com.br")
    return None


def _find_address_fault(
    host: str, text: str, kind: Callable[[str], ipaddress.IPv4Address | ipaddress.IPv6Address]
) -> Fault | None:
    try:
        address = kind(text)
    except ValueError:
        return Fault(f"the host {host} is not an IP address in canonical form", "write four decimal numbers, or [IPv6]")
    if is_special_address(address):
        return Fault(f"the host {host} is in a private or special range", "Plug calls the URL over the internet")
    if "%" in text:  # the standard library keeps a zone as it is written, so it would look canonical
        return Fault(
            f"the host {host} has a zone, which means something on one machine only", "leave the % and the rest out"
        )
    if str(address) != text:
        return Fault(f"the host {host} is not an IP address in canonical form", f"write {address}")
    return None


def is_special_address(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Return whether an address is not public: private, loopback, multicast, reserved, or with another one in it."""
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return True
    return any(address in network for network in (*_EMBEDDING, *_SPECIAL) if network.version == address.version)


@lru_cache(maxsize=4096)
def is_loopback_host(host: str) -> bool:
    """Return whether a host is this machine: `localhost`, 127.0.0.0/8 in canonical form, or [::1].

    A name below localhost does not count, as an outside name server may resolve it. Nor do an IPv6 address with a
    zone, an unclosed bracket, or 127.0.0.1 in brackets, as clients read these differently.
    """
    lowered = host.lower()
    if lowered in ("localhost", "[::1]"):
        return True
    try:
        return ipaddress.IPv4Address(lowered).is_loopback
    except ValueError:
        return False
