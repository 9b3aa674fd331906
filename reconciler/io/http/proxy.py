"""The proxy that the environment's variables name, and the hosts that bypass it (docs/settings.md)."""

from __future__ import annotations

import base64
import re
import urllib.request
from collections.abc import Iterable, Mapping
from urllib.parse import unquote, urlsplit

from reconciler.core.urls import is_loopback_url
from reconciler.errors import InputError
from reconciler.model import Unprinted

_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")  # a name, or an IPv6 address without its brackets
_HINT = "unset it, or write http://HOST:PORT"


class UnusableProxy(InputError):
    """A proxy variable that can't be used. Its value is never shown, as it may hold the proxy's password."""


class Proxy(Unprinted, frozen=True):
    """An HTTP proxy. With the `scheme` https, the connection to the proxy itself uses TLS. `variable` named it."""

    scheme: str
    host: str
    port: int
    variable: str
    user: str | None = None
    password: str = ""

    @property
    def address(self) -> str:
        """Return HOST:PORT for messages."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def authorization(self) -> str | None:
        """Return the value of Proxy-Authorization; None without a user."""
        if self.user is None:
            return None
        text = f"{self.user}:{self.password}"  # a byte that is not UTF-8 is sent as it was written
        return "Basic " + base64.b64encode(text.encode(errors="surrogateescape")).decode("ascii")


def find_proxy(url: str, environ: Mapping[str, str]) -> Proxy | None:
    """Return the proxy of HTTPS_PROXY or ALL_PROXY for a URL; None if it is not used.

    It is not used for http, for loopback, and for the hosts of NO_PROXY. Raises UnusableProxy.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" or is_loopback_url(url):
        return None
    proxies = _read_variables(environ)
    if "no" in proxies and _is_excluded(f"{parts.hostname}:{parts.port or 443}", proxies["no"][1]):
        return None
    found = proxies.get("https") or proxies.get("all")
    return None if found is None else parse_proxy(*found)


def check_proxies(urls: Iterable[str], environ: Mapping[str, str]) -> None:
    """Check the proxy variables for these URLs before anything is sent. Raises UnusableProxy."""
    for url in sorted(set(urls)):
        find_proxy(url, environ)


def _is_excluded(authority: str, names: str) -> bool:
    """Return whether NO_PROXY lists this HOST:PORT, by its name, its name and port, or a domain above it.

    `*.example.com` means the same as `.example.com`, as in many programs.
    """
    plain = ",".join(name.strip().removeprefix("*.") for name in names.split(","))
    return bool(urllib.request.proxy_bypass_environment(authority, {"no": plain}))  # type: ignore[attr-defined]


def parse_proxy(variable: str, text: str) -> Proxy:
    """Return the proxy that a variable's value names; without a scheme it is http. Raises UnusableProxy."""
    text = text.strip()
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise UnusableProxy.of(variable, "not a valid proxy address", _HINT) from None
    if parts.scheme.startswith("socks"):
        raise UnusableProxy.of(variable, "SOCKS proxies are not supported", _HINT)
    # An @ behind the host means that the password has one of / ? #, so that a part of it was read as host and port.
    misread = "@" in parts.path + parts.query + parts.fragment
    if parts.scheme not in ("http", "https") or misread or not _HOST.fullmatch(host):
        raise UnusableProxy.of(variable, "not a valid proxy address", _HINT)
    return Proxy(
        scheme=parts.scheme,
        host=host,
        port=port or (443 if parts.scheme == "https" else 80),
        variable=variable,
        user=None if parts.username is None else unquote(parts.username, errors="surrogateescape"),
        password=unquote(parts.password or "", errors="surrogateescape"),
    )


def _read_variables(environ: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return scheme (or `no`) -> variable and value. The lower-case spelling wins; if it is empty, nothing is set."""
    names = sorted((name for name in environ if name.lower().endswith("_proxy")), key=str.islower)
    found = {name.lower().removesuffix("_proxy"): (name, environ[name]) for name in names}
    return {scheme: named for scheme, named in found.items() if named[1]}
