"""Real git remotes: a bare repository on disk, and one behind git's own smart-HTTP server with a password."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

IDENTITY = ("-c", "user.name=ana", "-c", "user.email=ana@example.com")


def git(folder: Path, *arguments: str, stdin: str | None = None) -> str:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    if os.name != "posix" and shutil.which("git") is None:
        pytest.skip("there is no git")
    environ |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(
        ["git", *IDENTITY, *arguments],
        cwd=folder,
        env=environ,
        input=stdin,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def make_remote(folder: Path) -> Path:
    """Make a bare repository whose `main` holds a README."""
    remote = folder / "remote.git"
    git(folder, "init", "-q", "--bare", "-b", "main", str(remote))
    seed = folder / "seed"
    git(folder, "clone", "-q", str(remote), str(seed))
    (seed / "README").write_text("code\n")
    git(seed, "add", "-A")
    git(seed, "commit", "-q", "-m", "Begin")
    git(seed, "push", "-q", "origin", "HEAD:main")
    return remote


def make_clone(remote: Path | str, clone: Path, *options: str) -> Path:
    address = remote if isinstance(remote, str) else f"file://{remote}"
    git(clone.parent, *options, "clone", "-q", "--depth", "1", "-b", "main", address, str(clone))
    return clone


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def serve_over_http(remote: Path, user: str, password: str) -> contextlib.AbstractContextManager[str]:
    """Serve the remote, with one password for reads and pushes."""
    return serve_guarded(remote, lambda header, _: header == basic(user, password))


@contextlib.contextmanager
def serve_guarded(remote: Path, allows: Callable[[str | None, bool], bool]) -> Iterator[str]:
    """Serve `git http-backend` behind a server of the standard library that asks for basic authentication.

    `allows` gets the request's Authorization header, and whether the request pushes.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self._read_body())

        def _read_body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "") == "chunked":
                body = b""
                while size := int(self.rfile.readline().strip() or b"0", 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))

        def _answer(self, body: bytes) -> None:
            # Several headers become one text that no password matches. GitHub answers 400 ("Duplicate header").
            header = ", ".join(self.headers.get_all("Authorization", [])) or None
            if not allows(header, "git-receive-pack" in self.path):
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            path, _, query = self.path.partition("?")
            done = subprocess.run(
                ["git", "http-backend"], env=self._cgi(path, query, body), input=body, capture_output=True
            )
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            lines = [line.decode().partition(": ")[::2] for line in head.split(b"\r\n") if line]
            status = next((value for name, value in lines if name == "Status"), "200 OK")
            self.send_response(int(status.split()[0]))
            for name, value in lines:
                if name != "Status":
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _cgi(self, path: str, query: str, body: bytes) -> dict[str, str]:
            return {
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": str(remote.parent),
                "GIT_HTTP_EXPORT_ALL": "1",
                "REMOTE_USER": "ana",  # Git accepts pushes only from a named user.
                "REQUEST_METHOD": self.command,
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            }

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the library's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/{remote.name}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
