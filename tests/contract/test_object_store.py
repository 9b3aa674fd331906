"""The promises of the object store alone (docs/state.md), and a check of the test's server."""

from __future__ import annotations

import contextlib
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.errors import Conflict, Corrupt, InputError, Unreachable
from reconciler.model import By
from reconciler.ports import Write
from reconciler.run.state_edits import copy
from reconciler.state import objects
from reconciler.state.objects import ObjectStore
from reconciler.state.open import open_store
from tests.contract.test_stores import document, put
from tests.fakes import START
from tests.memory_store import MemoryStore

Open = Callable[[], ObjectStore]


def raw_put(address: str, data: bytes, **headers: str) -> tuple[int, str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(address, data=data, method="PUT", headers=named), timeout=60
        ) as answer:
            return answer.status, answer.headers["ETag"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""


def test_the_server_of_these_tests_refuses_what_a_real_store_refuses(object_server: str, bucket: Open) -> None:
    """It refuses a stale If-Match and a second If-None-Match; otherwise the suite would prove nothing."""
    address = f"{object_server}/{bucket().location.split('/')[2]}/raw"
    status, first = raw_put(address, b"1", If_None_Match="*")
    assert status == 200
    assert raw_put(address, b"2", If_None_Match="*")[0] == 412
    assert raw_put(address, b"2", If_Match='"00000000000000000000000000000000"')[0] == 412
    assert raw_put(address, b"2", If_Match=first)[0] == 200
    assert raw_put(address, b"3", If_Match=first)[0] == 412


def test_of_twenty_creates_exactly_one_wins(bucket: Open) -> None:
    """Each uses its own connection."""
    stores = [bucket() for _ in range(20)]
    gate = threading.Barrier(20)
    won: list[int] = []

    def race(number: int) -> None:
        gate.wait()
        if stores[number].write([Write("production", document(version=str(number)), None)])[0].error is None:
            won.append(number)

    threads = [threading.Thread(target=race, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert stores[0].read(["production"])["production"].document == document(version=str(won[0]))


def test_a_forgotten_environment_can_come_back(bucket: Open) -> None:
    """A tombstone is overwritten, conditionally, and does not count as a document."""
    one, two = bucket(), bucket()
    version = put(one, document())
    assert one.write([Write("production", None, version)])[0].error is None
    assert two.read(["production"]) == {}
    put(two, document(version="2"))
    assert isinstance(one.write([Write("production", document(version="3"), None)])[0].error, Conflict)
    assert one.read(["production"])["production"].document == document(version="2")


def test_a_write_whose_answer_is_lost_is_recognised(bucket: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """The write landed, so it is done and not a conflict."""
    import obstore
    from obstore.exceptions import GenericError

    store = bucket()
    real = obstore.put

    def lost(*arguments: Any, **named: Any) -> object:
        real(*arguments, **named)
        raise GenericError("connection reset")

    monkeypatch.setattr(obstore, "put", lost)
    result = store.write([Write("production", document(), None)])[0]
    monkeypatch.undo()
    assert result.error is None
    assert result.version is not None


def test_a_store_that_fails_in_a_batch_names_the_documents(bucket: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are written."""
    import obstore
    from obstore.exceptions import GenericError

    store = bucket()
    real = obstore.put

    def fails_for_b(client: Any, path: str, *arguments: Any, **named: Any) -> object:
        if path == "b.json":
            raise GenericError("503 Slow Down, canary-secret")
        return real(client, path, *arguments, **named)

    monkeypatch.setattr(obstore, "put", fails_for_b)
    results = store.write([Write(name, document(name), None) for name in "abc"])
    assert [type(result.error) for result in results] == [type(None), Unreachable, type(None)]
    assert str(results[1].error) == (
        f"state: {store.location}: the store did not answer as it should. Check bucket, endpoint, region and network"
    )
    assert store.names() == {"a", "c"}


def test_a_thousand_documents_are_written_and_read(bucket: Open) -> None:
    """The requests are concurrent, and the list has several pages."""
    store = bucket()
    names = [f"e{number:04}" for number in range(1001)]
    results = store.write([Write(name, document(name), None) for name in names])
    assert all(result.error is None for result in results)
    assert store.names() == set(names)
    assert set(store.read(names)) == set(names)


def test_a_missing_bucket_is_never_an_empty_state(bucket: Open) -> None:
    """Neither is a server that does not answer."""
    bucket()
    with pytest.raises(Unreachable, match="s3://missing-bucket/state: there is no such bucket"):
        ObjectStore("s3://missing-bucket/state").names()


def test_a_missing_server_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cause is in our own words: the library's text holds the address, and its names say nothing to a user."""
    with answering(monkeypatch) as store:
        pass
    monkeypatch.setattr(objects, "RETRY_FOR", timedelta(0))
    with pytest.raises(Unreachable, match=r"the store can't be reached: connection refused\. Check bucket") as caught:
        ObjectStore(store.location).names()
    assert "127.0.0.1" not in str(caught.value)


def test_a_corrupt_object_is_named(bucket: Open, object_server: str) -> None:
    """Zero bytes are neither a tombstone nor a missing document."""
    store = bucket()
    raw_put(f"{object_server}/{store.location.removeprefix('s3://')}/production.json", b"")
    assert store.names() == {"production"}
    with pytest.raises(Corrupt, match=r"production\.json"):
        store.read(["production"])


def test_without_the_extra_the_error_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel installs without it."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "obstore"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(InputError, match=r"install it: .*\[objects\]'"):
        open_store("s3://bucket/state", tmp_path)


@pytest.mark.parametrize(
    "setting", ["s3:", "s3://", "s3:///x", "gs://b?x=1", "az://u:p@b/x", "s3://b/a b", "http://b/x"]
)
def test_a_setting_that_names_no_bucket_is_refused(setting: str, tmp_path: Path) -> None:
    """The hint says what to write."""
    with pytest.raises(InputError):
        open_store(setting, tmp_path)


def test_a_version_is_the_stores_own(bucket: Open) -> None:
    """The version that was read may be overwritten once."""
    store = bucket()
    put(store, document())
    stored = store.read(["production"])["production"]
    put(store, replace(document(version="2"), serial=2), stored.version)
    again = store.write([Write("production", replace(document(version="3"), serial=2), stored.version)])[0]
    assert isinstance(again.error, Conflict)


@pytest.mark.parametrize(
    ("setting", "variables", "hint"),
    [
        ("az://box/x", {}, "AZURE_STORAGE_ACCOUNT_NAME"),
        ("az://box/x", {"AZURE_STORAGE_ACCOUNT_NAME": "canary account"}, "AZURE_STORAGE_ACCOUNT_NAME"),
        ("gs://box/x", {"GOOGLE_APPLICATION_CREDENTIALS": "/canary/key.json"}, "GOOGLE_APPLICATION_CREDENTIALS"),
    ],
)
def test_variables_that_open_no_store_are_reported_by_name(
    setting: str, variables: dict[str, str], hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The setting is right, so it is not blamed; values of variables are not repeated."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError) as caught:
        open_store(setting, tmp_path)
    (problem,) = caught.value.problems
    assert problem.message == f"{setting[:2]}:// can't be opened with the variables that are set"
    assert hint in problem.hint
    assert "canary" not in str(problem)


# --- a store that answers otherwise than it should -------------------------------------------------

LISTED = (
    b"<?xml version='1.0'?><ListBucketResult><Name>box</Name><IsTruncated>false</IsTruncated>"
    b"<Contents><Key>plug/a.json</Key><LastModified>2026-11-23T12:00:00.000Z</LastModified>"
    b"<ETag>&quot;1&quot;</ETag><Size>999</Size></Contents></ListBucketResult>"
)


@contextlib.contextmanager
def answering(
    monkeypatch: pytest.MonkeyPatch, *, listing: int = 200, reading: int = 200, writing: int = 200, etag: str = '"1"'
) -> Iterator[ObjectStore]:
    """Return a store on a server that answers each kind of request as given."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            is_list = "list-type" in self.path
            self._answer(listing if is_list else reading, LISTED if is_list else b"{}")

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(writing, b"")

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Last-Modified", "Mon, 23 Nov 2026 12:00:00 GMT")
            if etag:
                self.send_header("ETag", etag)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base's name
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "canary-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-secret")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    try:
        yield ObjectStore("s3://box/plug")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("status", [401, 403])
def test_a_store_that_refuses_our_credentials_says_what_they_need(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(monkeypatch, listing=status, reading=status, writing=status) as store:
        for ask in (store.names, lambda: store.read(["a"]), store.read_changes):
            with pytest.raises(Unreachable, match=r"s3://box/plug: the store refuses our credentials. It needs to"):
                ask()
        (written,) = store.write([Write("a", document("a"), None)])
    assert isinstance(written.error, Unreachable)
    assert "credentials" in str(written.error)
    assert "canary" not in str(written.error)


def test_a_bucket_that_was_deleted_between_list_and_write_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(monkeypatch, reading=404, writing=404) as store:
        assert store.names() == {"a"}
        created, changed = store.write([Write("b", document("b"), None), Write("a", document("a"), "1")])
    assert "there is no such bucket. Create it, or fix the `state` setting" in str(created.error)
    assert isinstance(changed.error, Conflict), "the document that was read is gone"


def test_an_answer_that_is_not_from_a_store_is_reported_by_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(monkeypatch, listing=400, reading=400, writing=400) as store:
        with pytest.raises(Unreachable, match=r"did not answer as it should \(status 400\). Check bucket, endpoint"):
            store.names()
        (written,) = store.write([Write("a", document("a"), None)])
    assert isinstance(written.error, Unreachable)


def test_a_store_without_etags_is_never_written_to_blindly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its documents have no version, so no write would be safe."""
    with answering(monkeypatch, etag="") as store:
        with pytest.raises(Unreachable, match="gives no ETag, so no write could be made safe"):
            store.read(["a"])
        (written,) = store.write([Write("a", document("a"), None)])
    assert "gives no ETag" in str(written.error)


def test_an_unexpected_tombstone_is_a_conflict_and_overwritten_next_time(bucket: Open) -> None:
    """Another run forgot the environment since the names were listed: a conflict, then a first document."""
    one, two = bucket(), bucket()
    version = put(one, document())
    one.write([Write("production", None, version)])
    assert isinstance(two.write([Write("production", document(), None)])[0].error, Conflict)
    assert two.write([Write("production", document(), None)])[0].error is None


def test_a_state_is_copied_where_all_was_forgotten(bucket: Open) -> None:
    """The refusal of a copy advises it; the process has only listed the names."""
    one = bucket()
    version = put(one, document(version="2"))
    one.write([Write("production", None, version)])
    source = MemoryStore()
    put(source, document())
    assert copy(source, bucket(), START) == 1
    assert bucket().read(["production"])["production"].document == document()


def test_a_document_that_says_it_is_forgotten_is_one(bucket: Open) -> None:
    """A document may hold the text of a tombstone in any field."""
    store = bucket()
    applied = document().applied
    assert applied is not None
    put(store, replace(document(), applied=replace(applied, by=By(objects.TOMBSTONE, None, None))))
    assert store.names() == {"production"}
    assert set(bucket().read(["production"])) == {"production"}


def test_objects_that_are_not_documents_of_this_prefix_are_not_environments(bucket: Open, object_server: str) -> None:
    store = bucket()
    put(store, document())
    place = f"{object_server}/{store.location.removeprefix('s3://')}"
    for name in ("notes.txt", ".hidden.json", "deeper/staging.json"):
        raw_put(f"{place}/{name}", b"{}" * 100)
    assert store.names() == {"production"}


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list to which the name of each object is added that is read from now on."""
    import obstore

    names: list[str] = []
    real = obstore.get

    def note(client: Any, path: str, *arguments: Any, **named: Any) -> object:
        names.append(path)
        return real(client, path, *arguments, **named)

    monkeypatch.setattr(obstore, "get", note)
    return names


def test_what_this_object_wrote_is_not_read_again(bucket: Open, reads: list[str]) -> None:
    """An apply writes each document twice, and lists the bucket hundreds of times. What others wrote is read."""
    store, other = bucket(), bucket()
    version = put(store, document("theirs"))
    seen = store.read_changes().snapshot
    reads.clear()
    ours = put(store, document("ours"))
    forgotten = put(store, document("forgotten"))
    put(store, replace(document("ours", version="2"), serial=2), ours)
    store.write([Write("forgotten", None, forgotten)])
    found = store.read_changes(seen)
    assert (found.heads, found.gone, found.faults, reads) == ({}, frozenset(), {}, [])
    version = put(other, replace(document("theirs", version="2"), serial=2), version)
    put(other, replace(document("ours", version="3"), serial=3), other.read(["ours"])["ours"].version)
    reads.clear()
    found = store.read_changes(found.snapshot)
    assert {name: head.serial for name, head in found.heads.items()} == {"theirs": 2, "ours": 3}
    assert sorted(reads) == ["ours.json", "theirs.json"]


def test_all_documents_are_read_without_a_snapshot(bucket: Open) -> None:
    store = bucket()
    put(store, document("ours"))
    assert set(store.read_changes().heads) == {"ours"}


def test_etags_without_quotes_in_a_list_are_the_same(
    bucket: Open, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Azure lists them so."""
    import obstore

    real = obstore.list

    def unquoted(client: Any) -> list[Any]:
        return [[{**entry, "e_tag": str(entry["e_tag"]).strip('"')} for entry in page] for page in real(client)]

    monkeypatch.setattr(obstore, "list", unquoted)
    put(bucket(), document("theirs"))
    store = bucket()
    seen = store.read_changes().snapshot
    put(store, document("ours"))
    reads.clear()
    assert not store.read_changes(seen).heads
    assert reads == []


def test_a_store_gathers_no_writes_as_each_is_its_own_request(bucket: Open) -> None:
    store = bucket()
    assert store.gather_s == 0
    assert store.location.startswith("s3://bucket-")
