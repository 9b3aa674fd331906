"""Hostile states: documents, folders and branches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from reconciler.errors import StateError
from reconciler.io.git.command import REASON_LENGTH, GitFailed, summarize
from reconciler.model import EVENTS, Document, Head
from reconciler.state.document import Decode, decode_document, decode_head, encode_document
from reconciler.state.git import GitStore
from reconciler.views import markdown, text_state
from tests import json_view
from tests.acceptance.conftest import assert_harmless
from tests.conftest import examples
from tests.fakes import START
from tests.fuzz.hostile import CANARY, PIECES, as_json, bounded, drive, mutated, refused_or, spliced
from tests.unit.state.test_document import document

T = TypeVar("T")

VALID = json.loads(encode_document(document()))
WORDS = [piece.encode() for piece in PIECES] + [
    b"[",
    b"{",
    b"}",
    b'"',
    b"null",
    b"1e400",
    b"9" * 400,
    b"\xff",
    b"\\ud800",
]
# A user pasted a token in place of an event's name, of a time, and where any text is valid.
MISPLACED = {
    **VALID,
    "applied": {**VALID["applied"], "webhooks": {**VALID["applied"]["webhooks"], CANARY: "https://x"}},
}
MISTIMED = {**VALID, "applied": {**VALID["applied"], "at": CANARY}}
WELL_PLACED = {**VALID, "applied": {**VALID["applied"], "account": CANARY}}
documents = mutated(VALID).map(as_json) | spliced(as_json(VALID), WORDS)


def show(found: Document) -> None:
    """Show a document with every view."""
    for shown in (
        text_state.render_state_list([found], START, colour=False),
        text_state.render_state_show(found, START, colour=False),
        text_state.render_state_history(found, colour=False),
        markdown.render_state_list([found], START),
        markdown.render_state_show(found, START),
        markdown.render_state_history(found),
        json_view.render_state_list([found], START),
        json_view.render_state_history(found),
    ):
        assert_harmless(shown)


@bounded
@given(documents | st.binary())
def test_a_document_is_whole_or_corrupt(data: bytes) -> None:
    """A document that is read can be written, read back and shown by every view."""
    stored = refused_or(
        lambda: decode_document(data, environment="production", where="here"),
        StateError,
        hidden=["input_value", CANARY],
    )
    if stored is not None:
        again = decode_document(encode_document(stored.document), environment="production", where="here")
        assert again.document == stored.document
        show(stored.document)


@bounded
@given(documents | st.binary())
def test_a_head_is_read_where_its_document_is_and_nowhere_else(data: bytes) -> None:
    """A history that no version could write must not be accepted because it is not shown."""

    def read(decode: Decode[T]) -> T | type[StateError]:
        try:
            return decode(data, environment="production", where="here")
        except StateError as error:
            return type(error)

    whole, head = read(decode_document), read(decode_head)
    if isinstance(whole, type):
        assert head == whole
    else:
        document = whole.document
        assert head == Head(document.environment, document.lineage, document.serial, document.applied, document.intent)


@bounded
@given(mutated(VALID))
def test_a_document_is_read_alike_in_every_layout(value: object) -> None:
    """Repeated keys are looked for only in a layout that this program does not write; nothing else may differ."""

    def read(data: bytes) -> Document | str:
        try:
            return decode_document(data, environment="production", where="here").document
        except StateError as error:
            return str(error)

    written = (json.dumps(value, sort_keys=True, indent=2) + "\n").encode()
    assert read(written) == read(json.dumps(value, sort_keys=True).encode())


WEBHOOKS = "".join(f"  {event}: https://hooks.acme.com.br/{{environment}}/{event}\n" for event in EVENTS)


@settings(
    bounded,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=examples(40),
)
@given(data=documents)
@example(data=as_json(MISPLACED))
@example(data=as_json(MISTIMED))
@example(data=as_json(WELL_PLACED))
@pytest.mark.parametrize("command", ["plan", "drift", "adopt", "apply", "report"])
def test_every_command_survives_a_hostile_state(tmp_path: Path, command: str, data: bytes) -> None:
    """Times at the end of the calendar, serials without end, another's lineage: a result, or exit 4.

    What a whole document holds is shown, as it is what a state is for (SECURITY.md); of one that is refused, nothing.
    """
    folder = tmp_path / "work"
    (folder / "manifests").mkdir(parents=True, exist_ok=True)
    (folder / "manifests" / "production.yaml").write_text("webhooks:\n" + WEBHOOKS)
    (folder / ".reconciler/state").mkdir(parents=True, exist_ok=True)
    (folder / ".reconciler/state/production.json").write_bytes(data)
    # No server listens on port 1, so every request is refused.
    environ = {"RECONCILER_API__BASE_URL": "http://127.0.0.1:1", "PLUG_TOKEN_PRODUCTION": "token", "GITHUB_ACTOR": "x"}
    arguments = {
        "plan": ["plan", "--max-age", "1d"],
        "drift": ["drift", "--max-age", "1d", "--format", "markdown"],
        "adopt": ["state", "adopt", "production", "--unverified", "--yes"],
        "apply": ["apply", "--yes", "--attempts", "1", "--format", "json"],
        "report": ["report", "--max-age", "1d"],
    }[command]
    whole = refused_or(lambda: decode_document(data, environment="production", where="here"), StateError)
    hidden = [CANARY] if whole is None else []
    drive(folder, {**environ, "GITHUB_SHA": "c0ffee"}, *arguments, hidden=hidden)


class _Remote:
    """A remote with any refs, any tree and any content."""

    def __init__(self, listed: str, entries: list[tuple[str, bytes, bytes]], failing: str) -> None:
        self._listed, self._entries, self._failing = listed, entries, failing

    @property
    def has_remote(self) -> bool:
        return True

    @property
    def has_push_address(self) -> bool:
        return False

    def run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        command = arguments[0]
        if command == self._failing:
            raise GitFailed(128, self._listed, self._listed)
        if command == "ls-remote":
            return self._listed.encode("utf-8", "replace")
        if command == "ls-tree":
            sizes = [str(len(content)) if kind == "blob" else "-" for kind, _, content in self._entries]
            return b"".join(
                f"100644 {kind} {number:040x} {size:>7}\t".encode() + name + b"\0"
                for number, ((kind, name, _), size) in enumerate(zip(self._entries, sizes, strict=True))
            )
        if command == "cat-file":
            asked = [(object_id, self._entries[int(object_id, 16)][2]) for object_id in stdin.decode().split()]
            return b"".join(f"{object_id} blob {len(one)}\n".encode() + one + b"\n" for object_id, one in asked)
        return b"0" * 40 + b"\n"

    def close(self) -> None:
        pass


REF = "0123456789abcdef0123456789abcdef01234567\trefs/heads/state\n"
names = st.sampled_from(
    [b"production.json", b"a.json", b"README.md", b"x", b"::error::.json", b"../a.json"]
) | st.binary(min_size=1, max_size=9).map(lambda name: name.replace(b"\0", b"\xff").replace(b"/", b"\n"))


@bounded
@given(
    st.just(REF)
    | st.lists(st.sampled_from([REF, "x", "\t", "\n", "refs/heads/state", "\x1b[31m"]), max_size=5).map("".join),
    st.lists(st.tuples(st.sampled_from(["blob", "tree", "commit"]), names, documents | st.binary()), max_size=4),
    st.sampled_from(["", "", "", "ls-remote", "fetch", "ls-tree", "cat-file"]),
)
def test_a_hostile_branch_is_a_state_or_refused(
    listed: str, entries: list[tuple[str, bytes, bytes]], failing: str
) -> None:
    """It has names that are not UTF-8, submodules, links and any content."""
    remote = _Remote(listed, entries, failing)
    store = GitStore(Path("/nonexistent"), "origin", "state", git=remote, sleep=lambda seconds: None)
    found = refused_or(store.names, StateError, GitFailed)
    if found is not None:
        for name in sorted(found):
            refused_or(lambda name=name: store.read([name]), StateError, GitFailed)  # type: ignore[misc]


@bounded
@given(
    st.lists(st.sampled_from([*PIECES, "fatal: ", "remote: ", "https://user:canary-pw@host/x"]), max_size=8).map(
        "".join
    )
)
def test_a_message_of_git_shows_no_password(stderr: str) -> None:
    """The most useful line is shown, without user information."""
    assert "canary-pw" not in summarize(stderr)
    assert len(summarize(stderr)) <= REASON_LENGTH
