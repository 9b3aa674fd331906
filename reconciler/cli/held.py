"""The session of one run, made when it is needed: `--help`, `schema` and the Tab key don't wait for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import click

    from reconciler.cli.session import Session


class HeldSession:
    """The session that click passes to the commands. `given` is that of a caller in this process."""

    def __init__(self, given: Session | None = None) -> None:
        self.given = given
        self.made: Session | None = None

    def get(self) -> Session:
        """Return the session of this run, a copy of the given one. Raises InputError if there is no working folder."""
        if self.made is None:
            from msgspec.structs import replace

            from reconciler.cli.session import Session

            self.made = Session() if self.given is None else replace(self.given)
        return self.made

    def close(self) -> None:
        """End the log of -v, unless the caller began it."""
        caller_logs = self.given is not None and self.given.log is not None
        if self.made is not None and self.made.log is not None and not caller_logs:
            self.made.log.stop()


def hold(context: click.Context) -> HeldSession:
    """Return what holds the session of this command. The Tab key passes nothing to click."""
    return context.find_object(HeldSession) or HeldSession()


def session_of(context: click.Context, parameters: Mapping[str, Any]) -> Session:
    """Return the session of this run with the command's flags."""
    from msgspec.structs import replace

    from reconciler.cli.setting_parameters import take_settings_flags

    flags = take_settings_flags(parameters)
    given = hold(context).get()
    session = replace(given, flags={**given.flags, **flags})
    context.call_on_close(session.close)
    return session
