"""HTTP clients for those who send a token: one for each worker, with no setting of the machine's but its proxies."""

from __future__ import annotations

import ssl
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from urllib.parse import urlsplit

import httpx

from reconciler.core.urls import is_loopback_url
from reconciler.errors import InputError


class UnusableProxy(Exception):
    """A proxy variable that holds no address. Not repeated: it may hold the proxy's password."""

    def __str__(self) -> str:
        return "HTTPS_PROXY or ALL_PROXY holds no usable address"


class Clients:
    """Lends clients, each to one borrower at a time.

    A shared pool of connections slows down with concurrency, so there is a client per worker; they share
    one TLS context, whose making costs more than ten requests. Entering it raises InputError where SSL_CERT_FILE
    or SSL_CERT_DIR name what can't be read.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._tls: ssl.SSLContext | None = None
        self._idle: dict[str, list[httpx.AsyncClient]] = {}
        self._clients: list[httpx.AsyncClient] = []

    async def __aenter__(self) -> Clients:
        # made before the first send takes its slot of the rate limit
        try:
            self._tls = httpx.create_ssl_context()  # certifi's roots, or those of SSL_CERT_FILE or SSL_CERT_DIR
        except OSError as error:  # ssl.SSLError too
            message = "SSL_CERT_FILE or SSL_CERT_DIR: no certificates can be read there (unset it, or mend the path)"
            raise InputError(message) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients:
            await client.aclose()

    @contextmanager
    def borrow(self, url: str) -> Iterator[httpx.AsyncClient]:
        """A client for the URL's host. Raises UnusableProxy."""
        parts = urlsplit(url)
        idle = self._idle.setdefault(f"{parts.scheme}://{parts.netloc}", [])
        client = idle.pop() if idle else self._make_client(url)
        try:
            yield client
        finally:
            idle.append(client)

    def _make_client(self, url: str) -> httpx.AsyncClient:
        try:
            client = httpx.AsyncClient(
                verify=self._tls or True,
                proxy=find_proxy(url, self._environ),
                trust_env=False,  # .netrc is never read; proxies are chosen above
                follow_redirects=False,
                timeout=None,  # noqa: S113 - one limit for the whole attempt, set by the borrower
                limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
            )
        except (ValueError, ImportError, httpx.InvalidURL):
            raise UnusableProxy from None
        self._clients.append(client)
        return client


def find_proxy(url: str, environ: Mapping[str, str]) -> str | None:
    """The proxy of the environment's variables for an https URL; never one for loopback (CONTRACT §3)."""
    parts = urlsplit(url)
    if parts.scheme != "https" or is_loopback_url(url):
        return None
    lowered = {name.lower(): value for name, value in environ.items() if name.lower().endswith("_proxy") and value}
    proxies = {name.removesuffix("_proxy"): value for name, value in lowered.items()}
    if urllib.request.proxy_bypass_environment(parts.netloc, proxies):  # type: ignore[attr-defined]
        return None
    proxy = proxies.get("https") or proxies.get("all")
    if proxy is not None and "://" not in proxy:
        return f"http://{proxy}"
    return proxy
