"""The example bodies of what Plug sends to a receiver, in the API's own spelling (docs/plug-api.md#what-plug-sends)."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from reconciler.model import Event


@cache
def example_bodies(event: Event) -> tuple[bytes, ...]:
    """Return the JSON bodies documented for `event`, byte for byte as the package ships them.

    `finishAttendance` has two, and a receiver must accept both. `messageDeliveryError` has no documented body, so an
    empty object is used.
    """
    return tuple((files("reconciler.plug") / "bodies" / name).read_bytes() for name in _names(event)) or (b"{}",)


def _names(event: Event) -> tuple[str, ...]:
    if event is Event.FINISH_ATTENDANCE:
        return (f"{event}-1.json", f"{event}-2.json")
    if event is Event.MESSAGE_DELIVERY_ERROR:
        return ()
    return (f"{event}.json",)
