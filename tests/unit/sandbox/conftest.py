"""A client of the sandbox that speaks plain HTTP, and a receiver on loopback to deliver to."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest

from reconciler.model import EVENTS
from reconciler.sandbox.app import PUT_PATH
from reconciler.sandbox.plug import Options
from reconciler.sandbox.server import Sandbox, serve_in_thread

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any
    headers: Mapping[str, str]


class Client:
    """One keep-alive connection, made again after it was lost."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.plug = sandbox.plug
        self.base_url = sandbox.base_url
        self.stop = sandbox.stop
        self._connection = http.client.HTTPConnection(urlsplit(sandbox.base_url).netloc, timeout=120)

    def send(self, method: str, path: str, body: object = b"", headers: Mapping[str, str] = JSON) -> Answer:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._connection.request(method, path, content, dict(headers))
        response = self._connection.getresponse()
        answered = {name.lower(): value for name, value in response.getheaders()}
        text = response.read()
        is_json = answered.get("content-type") == "application/json"
        return Answer(response.status, json.loads(text) if is_json else text, answered)

    def put(self, body: object, token: str = "canary-token", **headers: str) -> Answer:
        return self.send("PUT", PUT_PATH, body, {"Authorization": token, **JSON, **headers})

    def post(self, control: str, body: object) -> Answer:
        return self.send("POST", f"/_sandbox/{control}", body)

    def port_of_this_end(self) -> int:
        return int(self._connection.sock.getsockname()[1])

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Client]]:
    """Starts a sandbox with the given options, and gives a client of it."""
    running = []

    def start(**options: Any) -> Client:
        context = serve_in_thread(Options(**options))
        client = Client(context.__enter__())
        running.append((context, client))
        return client

    yield start
    for context, client in reversed(running):
        client.close()
        context.__exit__(None, None, None)


@pytest.fixture
def webhooks() -> dict[str, str]:
    """Seven webhooks that Plug accepts."""
    return {event.value: f"https://hooks.example.com/plug/{event}" for event in EVENTS}


@dataclass
class Receiver:
    url: str
    status: int = 204
    received: list[tuple[str, str, bytes]] = field(default_factory=list)  # path, content type, body


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server on loopback that keeps what it was sent."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.received.append((self.path, self.headers["Content-Type"], body))
            self.send_response(kept.status)
            self.send_header("Location", kept.url + "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        kept = Receiver(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield kept
        server.shutdown()
        thread.join()
