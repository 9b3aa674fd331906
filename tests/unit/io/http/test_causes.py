"""The table of causes: the cause of each error, and the words for every cause."""

from __future__ import annotations

import errno
import socket
import ssl

import anyio
import h11
import httpx
import pytest

from reconciler.io.http.causes import Cause, Failure, Hop, Stage, WireError, find_cause, find_proxy_cause

HOP = Hop("Plug (plug.acme)", "api.base_url")


def certificate_error(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "canary-of-a-library")
    error.verify_code, error.verify_message = code, "unsuitable certificate purpose."
    return error


def tls_error(reason: str | None) -> ssl.SSLError:
    error = ssl.SSLError(1, "canary-of-a-library")
    error.reason = reason  # type: ignore[assignment]  # OpenSSL may give none
    return error


def caused_by(cause: BaseException) -> BaseException:
    error = anyio.BrokenResourceError()
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "stage", "cause"),
    [
        (socket.gaierror(socket.EAI_NONAME, "x"), Stage.CONNECT, Cause.NAME_UNKNOWN),
        (socket.gaierror(socket.EAI_AGAIN, "x"), Stage.CONNECT, Cause.NAME_SERVER_SILENT),
        (socket.gaierror(socket.EAI_FAIL, "x"), Stage.CONNECT, Cause.NAME_UNRESOLVED),
        (UnicodeError("x"), Stage.CONNECT, Cause.NAME_UNRESOLVED),
        (ConnectionRefusedError(), Stage.CONNECT, Cause.REFUSED),
        (OSError(errno.EHOSTUNREACH, "x"), Stage.CONNECT, Cause.UNREACHABLE),
        (OSError(errno.ENETUNREACH, "x"), Stage.CONNECT, Cause.UNREACHABLE),
        (OSError(errno.EMFILE, "x"), Stage.CONNECT, Cause.TOO_MANY_FILES),
        (OSError(errno.EIO, "x"), Stage.CONNECT, Cause.BROKEN),
        (certificate_error(9), Stage.TLS, Cause.CERTIFICATE_NOT_YET_VALID),
        (certificate_error(10), Stage.TLS, Cause.CERTIFICATE_EXPIRED),
        (certificate_error(18), Stage.TLS, Cause.CERTIFICATE_UNTRUSTED),
        (certificate_error(20), Stage.TLS, Cause.CERTIFICATE_UNTRUSTED),
        (certificate_error(62), Stage.TLS, Cause.CERTIFICATE_OF_ANOTHER_NAME),
        (certificate_error(26), Stage.TLS, Cause.CERTIFICATE_REFUSED),
        (tls_error("WRONG_VERSION_NUMBER"), Stage.TLS, Cause.NO_TLS),
        (tls_error("SSLV3_ALERT_HANDSHAKE_FAILURE"), Stage.TLS, Cause.TLS_FAILED),
        (tls_error("WRONG_VERSION_NUMBER"), Stage.HEAD, Cause.TLS_BROKE),
        (tls_error("DECRYPTION_FAILED_OR_BAD_RECORD_MAC"), Stage.BODY, Cause.TLS_BROKE),
        (caused_by(ssl.SSLEOFError()), Stage.TLS, Cause.TLS_CLOSED),
        (anyio.EndOfStream(), Stage.TLS, Cause.TLS_CLOSED),
        (caused_by(ConnectionResetError()), Stage.TLS, Cause.TLS_CLOSED),
        (caused_by(ConnectionResetError()), Stage.HEAD, Cause.RESET),
        (caused_by(BrokenPipeError()), Stage.SEND, Cause.RESET),
        (caused_by(ssl.SSLEOFError()), Stage.HEAD, Cause.CLOSED),
        (anyio.EndOfStream(), Stage.HEAD, Cause.CLOSED),
        (anyio.BrokenResourceError(), Stage.HEAD, Cause.BROKEN),
        (anyio.ClosedResourceError(), Stage.SEND, Cause.BROKEN),
        (h11.RemoteProtocolError("canary-of-a-library"), Stage.HEAD, Cause.NOT_HTTP),
        (h11.LocalProtocolError("canary-of-a-library"), Stage.SEND, Cause.UNSENDABLE),
        (httpx.RemoteProtocolError("canary-of-a-library"), Stage.HEAD, Cause.NOT_HTTP),
    ],
)
def test_an_error_has_its_cause(error: BaseException, stage: Stage, cause: Cause) -> None:
    """The library's own text is left out."""
    found, detail = find_cause(error, stage)
    assert found is cause
    assert "canary-of-a-library" not in Failure(stage, HOP, found, detail).explain()


def test_of_several_addresses_the_most_specific_error_counts() -> None:
    """Each address of a name was tried."""
    error = OSError("All connection attempts failed")
    error.__cause__ = ExceptionGroup("x", [OSError(errno.ENETUNREACH, "x"), ConnectionRefusedError()])
    assert find_cause(error, Stage.CONNECT)[0] is Cause.REFUSED


def test_an_error_that_is_its_own_cause_ends_the_search() -> None:
    """A library may raise such an error."""
    error = RuntimeError()
    error.__cause__ = error
    assert find_cause(error, Stage.HEAD) == (Cause.BROKEN, "")


@pytest.mark.parametrize("cause", Cause)
@pytest.mark.parametrize("stage", Stage)
def test_every_cause_has_words_that_name_the_hop(cause: Cause, stage: Stage) -> None:
    """They have no placeholder left, at any stage."""
    failure = Failure(stage, HOP, cause, "5 s")
    assert "{" not in failure.explain()
    assert failure.explain().startswith(failure.describe())
    assert HOP.name in failure.describe() or cause in (Cause.TOO_MANY_FILES, Cause.UNSENDABLE)
    assert str(WireError(failure)) == failure.describe()


def test_openssls_reason_is_shown_if_the_table_has_no_entry() -> None:
    """OpenSSL has some eighty reasons."""
    cause, detail = find_cause(certificate_error(26), Stage.TLS)
    assert Failure(Stage.TLS, HOP, cause, detail).describe() == (
        "the certificate of Plug (plug.acme) is not accepted (unsuitable certificate purpose)"
    )


@pytest.mark.parametrize(
    ("reason", "stage", "words"),
    [
        (
            "UNSUPPORTED_PROTOCOL",
            Stage.TLS,
            "TLS with Plug (plug.example.com) failed (unsupported protocol). Check api.",
        ),
        ("BAD_RECORD_TYPE", Stage.HEAD, "the TLS connection to Plug (plug.example.com) broke (bad record type)"),
        (None, Stage.TLS, "TLS with Plug (plug.example.com) failed (no reason is known). Check api.base_url"),
    ],
)
def test_the_fixed_reason_of_openssl_is_shown(reason: str | None, stage: Stage, words: str) -> None:
    """Without it the user can't know that a server wants a client certificate or has an old version of TLS."""
    cause, detail = find_cause(tls_error(reason), stage)
    shown = Failure(stage, Hop("Plug (plug.example.com)", "api.base_url"), cause, detail).explain()
    assert shown.startswith(words)
    assert ("Check" in shown) == (stage is Stage.TLS)


@pytest.mark.parametrize(
    ("status", "has_user", "words"),
    [
        ("407", False, "It asks for a user and a password: write http://USER:PASSWORD@HOST:PORT in HTTPS_PROXY"),
        ("407", True, "It does not accept the user and password of HTTPS_PROXY"),
        ("403", True, "It does not let this connection through: ask who runs it"),
    ],
)
def test_a_proxy_that_got_a_user_is_not_said_to_ask_for_one(status: str, has_user: bool, words: str) -> None:
    cause = find_proxy_cause(status, has_user=has_user)
    shown = Failure(Stage.PROXY, Hop("the proxy a:1", "HTTPS_PROXY"), cause, status).explain()
    assert shown == f"the proxy a:1 answered {status}. {words}"
