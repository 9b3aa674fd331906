"""The TLS context of all our clients. No other module makes one."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from reconciler.errors import InputError

ROOT_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def make_tls_context(*, system_roots: bool = False) -> ssl.SSLContext:
    """Return a context that trusts certifi's roots, or those of SSL_CERT_FILE or SSL_CERT_DIR of this process.

    `system_roots` adds the roots of the system. Making a context takes longer than ten requests, so share it. Raises
    InputError if the variables name something that can't be read.
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
    # SSLKEYLOGFILE would let others decrypt recorded traffic, which holds tokens
    context.keylog_filename = None  # type: ignore[assignment]
    # By default Python makes OpenSSL treat a connection that just ends like one that was closed with close_notify, so
    # that a cut answer would look complete.
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    context.set_alpn_protocols(["http/1.1"])
    return context
