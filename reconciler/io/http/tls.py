"""The one place that makes TLS contexts for clients."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from reconciler.errors import InputError

ROOT_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def make_tls_context(*, system_roots: bool = False) -> ssl.SSLContext:
    """A client's context: it trusts certifi's roots, or those of SSL_CERT_FILE or SSL_CERT_DIR of this process.

    `system_roots` adds those of the system. Making one costs more than ten requests, so share it.
    Raises InputError where the variables name something that can't be read.
    """
    import httpx

    named = next((name for name in ROOT_VARIABLES if os.environ.get(name)), None)
    try:
        if named == "SSL_CERT_DIR" and not Path(os.environ[named]).is_dir():
            raise NotADirectoryError
        context = httpx.create_ssl_context()
        if system_roots:
            context.load_default_certs()
    except OSError as error:  # ssl.SSLError too
        message, hint = "no certificates can be read there", "unset it, or correct the path"
        raise InputError.of(named or "SSL_CERT_FILE", message, hint) from error
    # SSLKEYLOGFILE would let whoever records the network traffic read the tokens in it
    context.keylog_filename = None  # type: ignore[assignment]
    # Python tells OpenSSL to take a connection that just ends for one that was closed in order: a cut answer would
    # look complete
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    context.set_alpn_protocols(["http/1.1"])
    return context
