"""A value that must appear nowhere (docs/contract.md#what-no-output-does)."""

from __future__ import annotations

import hmac


class Secret:
    """A token or a secret. Its text, its repr and every format of it are a mask; `reveal()` is for the wire."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        return self.__value

    def sign(self, message: bytes) -> str:
        """Return the HMAC-SHA-256 of `message` with this value as the key, in hex."""
        return hmac.digest(self.__value.encode(errors="surrogateescape"), message, "sha256").hex()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.reveal() == other.reveal()

    def __hash__(self) -> int:
        return hash(self.__value)

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> str:
        raise TypeError("a secret is never pickled")
