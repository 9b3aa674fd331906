"""Serve an object store on loopback that answers late: `python bucket.py SECONDS`. The first line is its URL.

It has the part of S3 that the program uses: PUT with If-Match and If-None-Match, GET, and lists in pages. DELETE on any
path empties it, and GET / returns all objects as one JSON object. An emulator of the whole of S3 takes so much CPU for
a request that a figure would measure it, not the program. Credentials are not checked.
"""

from __future__ import annotations

import asyncio
import json
import sys
from urllib.parse import parse_qs, unquote, urlsplit

PAGE = 1000  # keys of a list, as in S3
WRITTEN_AT = b"Last-Modified: Mon, 23 Nov 2026 12:00:00 GMT\r\n"


class Bucket:
    """All objects in memory: path -> (ETag, content)."""

    def __init__(self, request_s: float) -> None:
        self._request_s = request_s
        self._objects: dict[str, tuple[str, bytes]] = {}
        self._writes = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection until the client closes it."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *lines = head.rstrip().split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                await asyncio.sleep(self._request_s)
                method, target, _ = first.split(" ")
                status, etag, content = self._answer(method, target, headers, body)
                tag = f"ETag: {etag}\r\n".encode() if etag else b""
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n" % (status, len(content)))
                writer.write(tag + WRITTEN_AT + b"\r\n" + content)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
        """Return status, ETag and content."""
        url = urlsplit(target)
        path = unquote(url.path)
        if method == "DELETE":
            self._objects.clear()
            return 204, "", b""
        if method == "PUT":
            return self._put(path, headers, body)
        if path == "/":
            return 200, "", json.dumps({key: content.decode() for key, (_, content) in self._objects.items()}).encode()
        query = parse_qs(url.query)
        if "list-type" in query:
            return 200, "", self._list(path, query.get("prefix", [""])[0], query.get("continuation-token", [""])[0])
        if path not in self._objects:
            return 404, "", b""
        return 200, *self._objects[path]

    def _put(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
        etag = self._objects[path][0] if path in self._objects else None
        if ("if-none-match" in headers and etag is not None) or headers.get("if-match", etag) != etag:
            return 412, "", b""
        self._writes += 1
        etag = f'"{self._writes}"'
        self._objects[path] = etag, body
        return 200, etag, b""

    def _list(self, bucket: str, prefix: str, after: str) -> bytes:
        start = f"{bucket.rstrip('/')}/"
        keys = sorted(path.removeprefix(start) for path in self._objects if path.startswith(start + prefix))
        keys = [key for key in keys if key > after]
        page = keys[:PAGE]
        more = f"<NextContinuationToken>{page[-1]}</NextContinuationToken>" if len(keys) > PAGE else ""
        entries = "".join(self._describe(start, key) for key in page)
        truncated = str(bool(more)).lower()
        return (f"<ListBucketResult><IsTruncated>{truncated}</IsTruncated>{more}{entries}</ListBucketResult>").encode()

    def _describe(self, start: str, key: str) -> str:
        etag, content = self._objects[start + key]
        return (
            f"<Contents><Key>{key}</Key><LastModified>2026-11-23T12:00:00.000Z</LastModified>"
            f"<ETag>{etag}</ETag><Size>{len(content)}</Size></Contents>"
        )


async def main() -> None:
    """Serve until the process is ended."""
    server = await asyncio.start_server(Bucket(float(sys.argv[1])).serve, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
