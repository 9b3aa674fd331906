"""`python -I -S fork_client.py SOCKET ARGUMENT…`: a run of the program by the fork server, as its own process would be.

For scripts that start the program, as the workflows' do. Of the standard library it needs nothing that takes time.
"""

import _socket
import os
import struct
import sys

LENGTH = struct.Struct("!I")
STATUS = struct.Struct("!i")


def pack(arguments: list[str], folder: str, environ: dict[str, str]) -> bytes:
    """Return a request; no part can hold NUL."""
    parts = [folder, str(len(arguments)), *arguments, *(f"{name}={value}" for name, value in environ.items())]
    text = os.fsencode("\0".join(parts))
    return LENGTH.pack(len(text)) + text


def main() -> None:
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    connection.connect(sys.argv[1])
    request = pack(sys.argv[2:], os.getcwd(), dict(os.environ))
    sent = connection.sendmsg([request], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("3i", 0, 1, 2))])
    if sent < len(request):  # even an empty send fails once the server has closed, and the run may have ended already
        connection.sendall(request[sent:])
    answer = b""
    while len(answer) < 2 * STATUS.size:
        chunk = connection.recv(64)
        assert chunk, "the fork server has gone"
        answer += chunk
    code = STATUS.unpack_from(answer, STATUS.size)[0]
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
