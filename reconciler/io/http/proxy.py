"""The proxy of the environment's variables (CONTRACT §3)."""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping
from urllib.parse import urlsplit

from reconciler.core.urls import is_loopback_url


class UnusableProxy(Exception):
    """A proxy variable that holds no address. Not repeated: it may hold the proxy's password."""

    def __str__(self) -> str:
        return "HTTPS_PROXY or ALL_PROXY holds no usable address"


def find_proxy(url: str, environ: Mapping[str, str]) -> str | None:
    """The proxy of the environment's variables for an https URL; never one for loopback (CONTRACT §3)."""
    parts = urlsplit(url)
    if parts.scheme != "https" or is_loopback_url(url):
        return None
    proxies = _read_proxies(environ)
    if urllib.request.proxy_bypass_environment(parts.netloc, proxies):  # type: ignore[attr-defined]
        return None
    proxy = proxies.get("https") or proxies.get("all")
    if proxy is not None and "://" not in proxy:
        return f"http://{proxy}"
    return proxy


def _read_proxies(environ: Mapping[str, str]) -> dict[str, str]:
    """By scheme, and `no`. Of two spellings the one in lower case counts, and empty it takes the other back."""
    found = {name.lower(): value for name, value in environ.items() if name.lower().endswith("_proxy")}
    found |= {name: value for name, value in environ.items() if name.endswith("_proxy")}
    return {name.removesuffix("_proxy"): value for name, value in found.items() if value}
