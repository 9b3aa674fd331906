"""What only the object store promises (CONTRACT §7), and that the test's server is one."""

from __future__ import annotations

import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.errors import Conflict, Corrupt, InputError, Unreachable
from reconciler.ports import Write
from reconciler.state.objects import ObjectStore
from reconciler.state.open import open_store
from tests.contract.test_stores import document, put

Open = Callable[[], ObjectStore]


def raw_put(address: str, data: bytes, **headers: str) -> tuple[int, str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(address, data=data, method="PUT", headers=named), timeout=10
        ) as answer:
            return answer.status, answer.headers["ETag"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""


def test_the_server_of_these_tests_refuses_what_a_real_store_refuses(object_server: str, bucket: Open) -> None:
    """A stale If-Match and a second If-None-Match, raw: else the suite would prove nothing."""
    address = f"{object_server}/{bucket().location.split('/')[2]}/raw"
    status, first = raw_put(address, b"1", If_None_Match="*")
    assert status == 200
    assert raw_put(address, b"2", If_None_Match="*")[0] == 412
    assert raw_put(address, b"2", If_Match='"00000000000000000000000000000000"')[0] == 412
    assert raw_put(address, b"2", If_Match=first)[0] == 200
    assert raw_put(address, b"3", If_Match=first)[0] == 412


def test_of_twenty_creates_exactly_one_wins(bucket: Open) -> None:
    """Each over a connection of its own."""
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
    """A tombstone is overwritten, conditionally, and never taken for a document."""
    one, two = bucket(), bucket()
    version = put(one, document())
    assert one.write([Write("production", None, version)])[0].error is None
    assert two.read(["production"]) == {}
    put(two, document(version="2"))
    assert isinstance(one.write([Write("production", document(version="3"), None)])[0].error, Conflict)
    assert one.read(["production"])["production"].document == document(version="2")


def test_a_write_whose_answer_is_lost_is_recognised(bucket: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """It landed: done, and not a conflict with itself."""
    import obstore
    from obstore.exceptions import GenericError

    store = bucket()
    real = obstore.put

    def lost(*arguments: object, **named: object) -> object:
        real(*arguments, **named)
        raise GenericError("connection reset")

    monkeypatch.setattr(obstore, "put", lost)
    result = store.write([Write("production", document(), None)])[0]
    monkeypatch.undo()
    assert result.error is None
    assert result.version is not None


def test_a_store_that_fails_in_the_middle_of_a_batch_tells_which(bucket: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are written."""
    import obstore
    from obstore.exceptions import GenericError

    store = bucket()
    real = obstore.put

    def fails_for_b(client: object, path: str, *arguments: object, **named: object) -> object:
        if path == "b.json":
            raise GenericError("503 Slow Down, canary-secret")
        return real(client, path, *arguments, **named)

    monkeypatch.setattr(obstore, "put", fails_for_b)
    results = store.write([Write(name, document(name), None) for name in "abc"])
    assert [type(result.error) for result in results] == [type(None), Unreachable, type(None)]
    assert "canary" not in str(results[1].error)
    assert store.names() == {"a", "c"}


def test_a_thousand_documents_are_written_and_read(bucket: Open) -> None:
    """Concurrently, more than one page of a list."""
    store = bucket()
    names = [f"e{number:04}" for number in range(1001)]
    results = store.write([Write(name, document(name), None) for name in names])
    assert all(result.error is None for result in results)
    assert store.names() == set(names)
    assert set(store.read(names)) == set(names)


def test_a_missing_bucket_is_never_an_empty_state(bucket: Open) -> None:
    """Nor is a server that does not answer."""
    bucket()
    with pytest.raises(Unreachable, match="s3://missing-bucket/state"):
        ObjectStore("s3://missing-bucket/state").names()


def test_a_corrupt_object_is_named(bucket: Open, object_server: str) -> None:
    """Zero bytes are no tombstone, and no missing document."""
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
    with pytest.raises(InputError, match=r"pip install 'reconciler\[objects\]'"):
        open_store("s3://bucket/state", tmp_path)


@pytest.mark.parametrize(
    "setting", ["s3:", "s3://", "s3:///x", "gs://b?x=1", "az://u:p@b/x", "s3://b/a b", "http://b/x"]
)
def test_a_setting_that_names_no_bucket_is_refused(setting: str, tmp_path: Path) -> None:
    """With what would be right."""
    with pytest.raises(InputError):
        open_store(setting, tmp_path)


def test_a_version_is_the_stores_own(bucket: Open) -> None:
    """What was read is what may be overwritten, once."""
    store = bucket()
    put(store, document())
    stored = store.read(["production"])["production"]
    put(store, replace(document(version="2"), serial=2), stored.version)
    again = store.write([Write("production", replace(document(version="3"), serial=2), stored.version)])[0]
    assert isinstance(again.error, Conflict)
