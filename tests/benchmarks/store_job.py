"""Run one measured process of the stores' figures: make documents, then write or read them all in one batch."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from reconciler.core.record import adopt
from reconciler.model import EVENTS, AuthScheme, By, Desired, Document, Fingerprint, Location
from reconciler.ports import Write
from reconciler.state.document import encode_document
from reconciler.state.open import open_store


def make_document(number: int) -> Document:
    """Return the first document of an invented company."""
    name, source = f"e{number:05}", Location("manifests/e.yaml", 1, 1)
    webhooks = {event: f"https://hooks.example.com.br/{name}/{event}" for event in EVENTS}
    desired = Desired(
        *(name, 0, webhooks, "https://plug.example.com/api", AuthScheme.RAW, "PLUG_TOKEN", None, None),
        *((), {}, source, dict.fromkeys(EVENTS, source)),
    )
    at = datetime(2026, 11, 23, 12, tzinfo=UTC)
    return adopt(None, desired, Fingerprint(f"org:{number}"), at, By("ana", "c0ffee", "1/1"), lineage=name)


def main() -> None:
    """Run `JOB SETTING COUNT`; the job is plain-write, plain-read, write or read."""
    job, setting, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    names = [f"e{number:05}" for number in range(count)]
    if job == "plain-read":
        assert sum(len(Path(setting, f"{name}.json").read_bytes()) for name in names)
        return
    if job == "read":
        store = open_store(setting, Path.cwd())
        assert len(store.read(sorted(store.names()))) == count
        store.close()
        return
    documents = [make_document(number) for number in range(count)]
    if job == "plain-write":
        Path(setting).mkdir()
        for document in documents:
            Path(setting, f"{document.environment}.json").write_bytes(encode_document(document))
        return
    store = open_store(setting, Path.cwd())
    results = store.write([Write(document.environment, document, None) for document in documents])
    assert all(result.error is None for result in results)
    store.close()


if __name__ == "__main__":
    main()
