"""The floors that figures are compared with: processes that do the minimum for any program, and check nothing."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def parse_and_compare(files: list[str]) -> None:
    """Run PyYAML in C on each manifest, then JSON on each document, and compare the webhooks; nothing is checked.

    Only the manifests' webhooks are kept in memory.
    """
    import yaml

    desired: dict[str, object] = {}
    same = 0
    for file in files:  # the manifests, then the documents
        with open(file, encoding="utf-8") as opened:
            if file.endswith(".yaml"):
                desired[Path(file).stem] = yaml.load(opened.read(), Loader=yaml.CSafeLoader)["webhooks"]
            else:
                same += desired[Path(file).stem] == json.loads(opened.read())["applied"]["webhooks"]
    assert same == len(desired), "the fleet is not the one with nothing changed"


async def put_all(url: str, concurrency: int) -> None:
    """Send a prebuilt PUT for each token variable over keep-alive sockets: no manifest, state, check or retry."""
    import asyncio  # It is imported late, as in every floor, so that none pays for another's imports.
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    assert parts.hostname is not None
    body = json.dumps({name: f"https://hooks.example.com.br/plug/{name}" for name in EVENT_NAMES}).encode()
    requests = [
        b"PUT /api/integrations/update-webhooks HTTP/1.1\r\nHost: %b\r\nAuthorization: %b\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
        % (parts.netloc.encode(), token.encode(), len(body), body)
        for name, token in os.environ.items()
        if name.startswith("PLUG_TOKEN_")
    ]

    async def work() -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        while requests:
            writer.write(requests.pop())
            head = await reader.readuntil(b"\r\n\r\n")
            assert b" 200 " in head.partition(b"\r\n")[0], head
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
        writer.close()

    await asyncio.gather(*(work() for _ in range(concurrency)))


EVENT_NAMES = (
    "finishAttendance",
    "startAttendance",
    "receiveMessage",
    "sendingMessage",
    "messageDeliveryError",
    "messageStatus",
    "whenDisconnecting",
)


def main() -> None:
    """Run `compare LISTING` (a file of file names) or `put URL CONCURRENCY`."""
    job, *given = sys.argv[1:]
    if job == "put":
        import asyncio

        asyncio.run(put_all(given[0], int(given[1])))
        return
    parse_and_compare(Path(given[0]).read_text(encoding="utf-8").splitlines())


if __name__ == "__main__":
    main()
