"""Invented companies: manifests, tokens, and a state in which all of them are applied without a PUT."""

from __future__ import annotations

import base64
import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import replace

from reconciler.cli.session import Session
from reconciler.core.record import adopt
from reconciler.model import By, Document
from reconciler.ports import Write
from reconciler.state.folder import FolderStore

LOOPBACK = "http://127.0.0.1:9"  # No server listens there: a plan sends nothing.
PER_FOLDER = 100
SECRETS = {"PLUG_SECRET_RECEIVE": "made-up-for-the-benchmarks"}
TOKENS_FILE = "tokens.yaml"
APPLIED_AT = datetime(2026, 11, 23, 12, tzinfo=UTC)

DEFAULTS = """\
# The base of every manifest in this folder and below; where both set a value, the manifest wins.
vars:
  base: plug

webhooks:
  finishAttendance: https://{host}/{base}/{environment}/finish-attendance
  startAttendance: https://{host}/{base}/{environment}/start-attendance
  receiveMessage: https://{host}/{base}/{environment}/receive?key={secret:PLUG_SECRET_RECEIVE}
  sendingMessage: https://{host}/{base}/{environment}/sending?company={company}
  messageDeliveryError: https://{host}/{base}/{environment}/delivery-error
  messageStatus: https://{host}/{base}/{environment}/status
  whenDisconnecting: https://{host}/{base}/{environment}/disconnected
"""

MANIFEST = """\
# The token comes from the tokens file.
environment: {name}
description: Atendimento, empresa {number}
wave: 0
vars:
  host: hooks-{shard}.example.com.br
  company: "{number}"
"""

CHANGED = """\
webhooks:
  messageStatus: https://{{host}}/{{base}}/v2/{{environment}}/status
"""


@dataclass(frozen=True, slots=True)
class Fleet:
    """A folder with `count` manifests, a tokens file, and a state folder."""

    folder: Path
    count: int

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def manifests(self) -> list[Path]:
        """Return all manifest files with `_defaults.yaml`, in order."""
        return sorted((self.folder / "manifests").rglob("*.yaml"))

    def flags(self, base_url: str = LOOPBACK, *, tokens: bool = False) -> list[str]:
        """Return the flags that every command on this fleet takes."""
        flags = ["--state", str(self.state), "--api-base-url", base_url]
        return [*flags, "--tokens-file", TOKENS_FILE] if tokens else flags

    def forget(self) -> None:
        """Remove the state, as if nothing was ever applied."""
        shutil.rmtree(self.state, ignore_errors=True)

    def record_applied(self, records: int = 1) -> None:
        """Write the state that this many applies of the fleet would leave, each with other webhooks."""
        self.forget()
        settings = {"api.base_url": LOOPBACK, "tokens_file": TOKENS_FILE}
        session = Session(environ=SECRETS, folder=self.folder, flags=settings)
        by = By(actor="benchmarks")
        writes = []
        for number, one in enumerate(session.desired):
            fingerprint = session.credentials.fingerprint(one)
            document: Document | None = None
            for record in reversed(range(records)):
                webhooks = {event: f"{url}?record={record}" if record else url for event, url in one.webhooks.items()}
                version = replace(one, webhooks=webhooks)
                document = adopt(document, version, fingerprint, APPLIED_AT, by, lineage=f"{number:032x}")
            writes.append(Write(one.environment, document, None))
        for written in FolderStore(self.state).write(writes):
            if written.error is not None:
                raise written.error

    def change_every(self, nth: int) -> None:
        """Give every nth manifest a `messageStatus` that differs from the state."""
        manifests = [path for path in self.manifests if not path.name.startswith("_")]
        for path in manifests[::nth]:
            path.write_text(path.read_text(encoding="utf-8") + CHANGED.format(), encoding="utf-8")


def make_fleet(folder: Path, count: int) -> Fleet:
    """Write the manifests and the tokens, with nothing applied."""
    manifests = folder / "manifests"
    manifests.mkdir(parents=True)
    (manifests / "_defaults.yaml").write_text(DEFAULTS, encoding="utf-8")
    tokens = {}
    for number in range(count):
        name = f"company-{number:05d}"
        below = manifests / f"region-{number // PER_FOLDER:03d}"
        below.mkdir(exist_ok=True)
        text = MANIFEST.format(name=name, number=f"{number:05d}", shard=number % 7)
        (below / f"{name}.yaml").write_text(text, encoding="utf-8")
        tokens[name] = make_token(number)
    file = folder / TOKENS_FILE
    file.touch(mode=0o600)
    file.write_text("".join(f"{name}: {token}\n" for name, token in tokens.items()), encoding="utf-8")
    return Fleet(folder, count)


def make_token(number: int) -> str:
    """Return a text like a JWT, with a unique organization and no valid signature."""
    parts = ({"alg": "HS256", "typ": "JWT"}, {"organizationId": f"org-{number:05d}", "sub": f"user-{number}"})
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join((*encoded, f"made-up-signature-{number:05d}-{'x' * 20}"))
