"""Causes of a failed request: one table from a library's error to its cause, and one from the cause to plain words.

The error of a library is never quoted: it may hold parts of the request. The words name the hop that failed
(docs/contract.md#messages).
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from enum import StrEnum

import anyio
import h11
import httpx
from msgspec import Struct

LONGEST_CHAIN = 20  # errors; an error may be its own cause, so the chain needs a limit


class Stage(StrEnum):
    """The step that a request has reached."""

    CONNECT = "connect"  # the name is looked up and the connection opened
    PROXY = "proxy"  # the proxy was asked for a tunnel
    TLS = "tls"
    SEND = "send"
    HEAD = "head"  # the answer's status and headers are awaited
    BODY = "body"


class Hop(Struct, frozen=True):
    """A server on the way of a request: its name in messages, and the setting that holds its address."""

    name: str
    setting: str


class Cause(StrEnum):
    """The cause of a failed request."""

    NAME_UNKNOWN = "name-unknown"
    NAME_SERVER_SILENT = "name-server-silent"
    NAME_UNRESOLVED = "name-unresolved"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    TOO_MANY_FILES = "too-many-files"
    CERTIFICATE_EXPIRED = "certificate-expired"
    CERTIFICATE_NOT_YET_VALID = "certificate-not-yet-valid"
    CERTIFICATE_OF_ANOTHER_NAME = "certificate-of-another-name"
    CERTIFICATE_UNTRUSTED = "certificate-untrusted"
    CERTIFICATE_REFUSED = "certificate-refused"
    NO_TLS = "no-tls"
    TLS_CLOSED = "tls-closed"
    TLS_FAILED = "tls-failed"
    TLS_BROKE = "tls-broke"
    PROXY_ANSWER = "proxy-answer"
    PROXY_USER = "proxy-user"
    RESET = "reset"
    CLOSED = "closed"
    NOT_HTTP = "not-http"
    CUT = "cut"
    UNSENDABLE = "unsendable"
    TIMEOUT = "timeout"
    BROKEN = "broken"


# the causes that prevent a connection; with a proxy, the connection to the proxy
OF_CONNECTING = (
    Cause.NAME_UNKNOWN,
    Cause.NAME_SERVER_SILENT,
    Cause.NAME_UNRESOLVED,
    Cause.REFUSED,
    Cause.UNREACHABLE,
    Cause.PROXY_ANSWER,
    Cause.PROXY_USER,
)
_ADDRESS = "Check {setting}, and whether a firewall is in the way"
_CLOCK = "Check this machine's clock; if it is right, the certificate must be renewed"
# {detail} is OpenSSL's reason for a certificate, the status of a proxy, or the seconds of a timeout
_WORDS: dict[Cause, tuple[str, str]] = {
    Cause.NAME_UNKNOWN: ("the name of {hop} was not found", "Check {setting} and this machine's DNS"),
    Cause.NAME_SERVER_SILENT: (
        "the name of {hop} was not resolved: the name server did not answer",
        "Try again, or check this machine's DNS",
    ),
    Cause.NAME_UNRESOLVED: ("the name of {hop} was not resolved", "Check {setting} and this machine's DNS"),
    Cause.REFUSED: ("the connection to {hop} was refused", _ADDRESS),
    Cause.UNREACHABLE: ("there is no route to {hop}", "Check {setting} and this machine's network"),
    Cause.TOO_MANY_FILES: ("this process has too many open files", "Raise its limit (ulimit -n)"),
    Cause.CERTIFICATE_EXPIRED: ("the certificate of {hop} has expired", _CLOCK),
    Cause.CERTIFICATE_NOT_YET_VALID: ("the certificate of {hop} is not valid yet", _CLOCK),
    Cause.CERTIFICATE_OF_ANOTHER_NAME: (
        "the certificate of {hop} is for another name",
        "Check {setting}: does another server answer at this name?",
    ),
    Cause.CERTIFICATE_UNTRUSTED: (
        "the issuer of the certificate of {hop} is not trusted: it is self-signed, of a private CA, or sent without "
        "its chain",
        "If a proxy of your company opens TLS connections, name the file of its CA in SSL_CERT_FILE; otherwise the "
        "connection may be intercepted",
    ),
    Cause.CERTIFICATE_REFUSED: ("the certificate of {hop} is not accepted ({detail})", "Check {setting}"),
    Cause.NO_TLS: ("{hop} does not speak TLS on this port", "Check {setting}"),
    Cause.TLS_CLOSED: ("the connection to {hop} was closed during the TLS handshake", _ADDRESS),
    Cause.TLS_FAILED: ("TLS with {hop} failed ({detail})", "Check {setting}, and which TLS versions that server takes"),
    Cause.TLS_BROKE: ("the TLS connection to {hop} broke ({detail})", ""),
    Cause.PROXY_ANSWER: ("{hop} answered {detail}", ""),
    Cause.PROXY_USER: ("{hop} answered {detail}", "It does not accept the user and password of {setting}"),
    Cause.RESET: ("the connection to {hop} was reset", ""),
    Cause.CLOSED: ("{hop} closed the connection without an answer", ""),
    Cause.NOT_HTTP: ("the answer of {hop} is not valid HTTP", ""),
    Cause.CUT: ("{hop} closed the connection before the answer was complete", ""),
    Cause.UNSENDABLE: ("the request can't be written as HTTP", ""),
    Cause.TIMEOUT: ("{hop} did not answer within {detail}", ""),
    Cause.BROKEN: ("the connection to {hop} failed", ""),
}
_TIMEOUT_WORDS = {
    Stage.CONNECT: (
        "no connection to {hop} within {detail}",
        "Check {setting}, this machine's DNS, and whether a firewall is in the way",
    ),
    Stage.TLS: ("no TLS with {hop} within {detail}", "Check {setting}: is it an https server?"),
    Stage.PROXY: ("{hop} did not answer within {detail}", "Check {setting}: is it an HTTP proxy?"),
    Stage.SEND: ("{hop} did not take the request within {detail}", ""),
    Stage.BODY: ("{hop} did not finish its answer within {detail}", ""),
}
# the advice for each status of a proxy that refuses
_PROXY_ADVICE = {
    "403": "It does not let this connection through: ask who runs it",
    "407": "It asks for a user and a password: write http://USER:PASSWORD@HOST:PORT in {setting}",
    "502": "It did not reach the server behind it",
    "503": "It did not reach the server behind it",
    "504": "It did not reach the server behind it in time",
}


class Failure(Struct, frozen=True):
    """A failed request: the step that it had reached, the hop, and the cause."""

    stage: Stage
    hop: Hop
    cause: Cause
    detail: str = ""

    def describe(self) -> str:
        """Return what is wrong, beginning in lower case and without a full stop."""
        words, _ = self._words()
        return words.format(hop=self.hop.name, detail=self.detail)

    def explain(self) -> str:
        """Return what is wrong, and what to do about it."""
        _, advice = self._words()
        advice = advice.format(setting=self.hop.setting)
        return f"{self.describe()}. {advice}" if advice else self.describe()

    def _words(self) -> tuple[str, str]:
        words, advice = _WORDS[self.cause]
        if self.cause is Cause.PROXY_ANSWER:
            advice = _PROXY_ADVICE.get(self.detail, "Check {setting}: is it an HTTP proxy?")
        elif self.cause is Cause.TIMEOUT:
            words, advice = _TIMEOUT_WORDS.get(self.stage, (words, advice))
        elif not advice and self.stage is Stage.PROXY:
            advice = "Check {setting}: is it an HTTP proxy?"
        return words, advice


def find_proxy_cause(status: str, *, has_user: bool) -> Cause:
    """Return the cause of a proxy's refusal. With `has_user`, the request had a user and a password for the proxy."""
    return Cause.PROXY_USER if status == "407" and has_user else Cause.PROXY_ANSWER


class WireError(httpx.TransportError):
    """A request that failed. Its text is in our own words."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(failure.describe())


def find_cause(error: BaseException, stage: Stage) -> tuple[Cause, str]:
    """Return the cause of a library's error, and its detail. Of the chained errors the most specific one decides."""
    chain = list(_walk(error))
    for find in (_find_in_tls, _find_in_name, _find_refusal, _find_in_socket, _find_in_http):
        for one in chain:
            cause = find(one, stage)
            if cause is not None:
                return cause, _describe_detail(one, cause)
    return Cause.BROKEN, ""


def _walk(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and those that caused it; a connection tried at several addresses has one for each."""
    waiting: list[BaseException | None] = [error]
    for _ in range(LONGEST_CHAIN):
        if not waiting:
            return
        one = waiting.pop(0)
        if one is None:
            continue
        yield one
        if isinstance(one, BaseExceptionGroup):
            waiting.extend(one.exceptions)
        waiting.append(one.__cause__ or one.__context__)


# X509_V_ERR_… of OpenSSL
_CERTIFICATE_CODES = {
    9: Cause.CERTIFICATE_NOT_YET_VALID,
    10: Cause.CERTIFICATE_EXPIRED,
    18: Cause.CERTIFICATE_UNTRUSTED,
    19: Cause.CERTIFICATE_UNTRUSTED,
    20: Cause.CERTIFICATE_UNTRUSTED,
    21: Cause.CERTIFICATE_UNTRUSTED,
    62: Cause.CERTIFICATE_OF_ANOTHER_NAME,
    63: Cause.CERTIFICATE_OF_ANOTHER_NAME,
    64: Cause.CERTIFICATE_OF_ANOTHER_NAME,
}
_PLAIN_TEXT = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG")


def _find_in_tls(error: BaseException, stage: Stage) -> Cause | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATE_CODES.get(error.verify_code, Cause.CERTIFICATE_REFUSED)
    if not isinstance(error, ssl.SSLError):
        return None
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError):
        return Cause.TLS_CLOSED if stage is Stage.TLS else None
    if stage in (Stage.SEND, Stage.HEAD, Stage.BODY):
        return Cause.TLS_BROKE  # the handshake was fine
    return Cause.NO_TLS if error.reason in _PLAIN_TEXT else Cause.TLS_FAILED


def _find_in_name(error: BaseException, stage: Stage) -> Cause | None:
    if isinstance(error, socket.gaierror):
        if error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None)):
            return Cause.NAME_UNKNOWN
        return Cause.NAME_SERVER_SILENT if error.errno == socket.EAI_AGAIN else Cause.NAME_UNRESOLVED
    return Cause.NAME_UNRESOLVED if isinstance(error, UnicodeError) and stage is Stage.CONNECT else None


def _find_refusal(error: BaseException, stage: Stage) -> Cause | None:
    """Prefer the address that refused: the others may belong to a network that this machine lacks (IPv6)."""
    return Cause.REFUSED if isinstance(error, ConnectionRefusedError) else None


def _find_in_socket(error: BaseException, stage: Stage) -> Cause | None:
    if isinstance(error, ConnectionError):
        return Cause.TLS_CLOSED if stage is Stage.TLS else Cause.RESET
    if isinstance(error, OSError):
        if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN):
            return Cause.UNREACHABLE
        if error.errno in (errno.EMFILE, errno.ENFILE):
            return Cause.TOO_MANY_FILES
    return None


def _find_in_http(error: BaseException, stage: Stage) -> Cause | None:
    # httpx's own errors are those of the GitHub client, which is synchronous and does not use our transport
    if isinstance(error, anyio.EndOfStream | ssl.SSLEOFError):
        return Cause.TLS_CLOSED if stage is Stage.TLS else Cause.CLOSED
    if isinstance(error, h11.RemoteProtocolError | httpx.RemoteProtocolError):
        return Cause.NOT_HTTP
    return Cause.UNSENDABLE if isinstance(error, h11.LocalProtocolError | httpx.LocalProtocolError) else None


def _describe_detail(error: BaseException, cause: Cause) -> str:
    """Return OpenSSL's reason, which is one of its fixed texts; the words of other libraries are never used."""
    if cause is Cause.CERTIFICATE_REFUSED and isinstance(error, ssl.SSLCertVerificationError):
        return str(error.verify_message).rstrip(".")
    if cause in (Cause.TLS_FAILED, Cause.TLS_BROKE) and isinstance(error, ssl.SSLError):
        return (error.reason or "no reason is known").replace("_", " ").lower()
    return ""
