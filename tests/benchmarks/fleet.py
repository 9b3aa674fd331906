"""Invented companies: manifests, tokens, and a state in which all of them are applied without a PUT."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable, Mapping
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
APPLIED_AT = datetime(2026, 11, 23, 12, tzinfo=UTC)

WEBHOOKS = """\
webhooks:
  finishAttendance: https://{host}/plug/{environment}/finish-attendance
  startAttendance: https://{host}/plug/{environment}/start-attendance
  receiveMessage: https://{host}/plug/{environment}/receive?key={secret:PLUG_SECRET_RECEIVE}
  sendingMessage: https://{host}/plug/{environment}/sending?company={company}
  messageDeliveryError: https://{host}/plug/{environment}/delivery-error
  messageStatus: https://{host}/plug/{environment}/status
  whenDisconnecting: https://{host}/plug/{environment}/disconnected
"""

MANIFEST = """\
environment: {environment}
description: Atendimento, empresa {company}
"""

VARS = """\
vars:
  host: {host}
  company: "{company}"
"""


@dataclass(frozen=True, slots=True)
class Fleet:
    """A folder with `count` manifests and a state folder, and the environment of a process that works on them.

    The environment holds every token and the secret. The file `files` lists the manifests, and after
    `record_applied()` the documents too.
    """

    folder: Path
    count: int
    environ: Mapping[str, str]

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def manifests(self) -> list[Path]:
        """Return all manifest files, in order."""
        return sorted((self.folder / "manifests").rglob("[!_]*.yaml"))

    def flags(self, base_url: str = LOOPBACK) -> list[str]:
        """Return the flags that every command on this fleet takes."""
        return ["--state", str(self.state), "--api-base-url", base_url]

    def forget(self) -> None:
        """Remove the state, as if nothing was ever applied."""
        shutil.rmtree(self.state, ignore_errors=True)

    def record_applied(self, records: int = 1) -> None:
        """Write the state that this many applies of the fleet would leave, each with other webhooks."""
        self.forget()
        session = Session(environ=self.environ, folder=self.folder, flags={"api.base_url": LOOPBACK})
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
        self.list_files()

    def list_files(self) -> None:
        """Write the list of files that the floors and the scripts read."""
        files = [*self.manifests, *sorted(self.state.glob("*.json"))]
        (self.folder / "files").write_text("".join(f"{path}\n" for path in files), encoding="utf-8")

    def change_every(self, nth: int) -> None:
        """Give every nth manifest a `messageStatus` that differs from the state."""
        for path in self.manifests[::nth]:
            path.write_text(path.read_text(encoding="utf-8").replace("/status", "/v2/status"), encoding="utf-8")


def make_fleet(folder: Path, count: int, make_token: Callable[[int], str], *, defaults: bool = False) -> Fleet:
    """Write the manifests, with nothing applied. Each has its seven webhooks, or takes them from `_defaults.yaml`."""
    manifests = folder / "manifests"
    manifests.mkdir(parents=True)
    if defaults:
        (manifests / "_defaults.yaml").write_text(WEBHOOKS, encoding="utf-8")
    environ = dict(SECRETS)
    for number in range(count):
        company = f"{number:05d}"
        name = f"company-{company}"
        below = manifests / f"region-{number // PER_FOLDER:03d}"
        below.mkdir(exist_ok=True)
        text = MANIFEST + (VARS if defaults else WEBHOOKS)
        values = {"{environment}": name, "{company}": company, "{host}": f"hooks-{number % 7}.example.com.br"}
        for placeholder, value in values.items():
            text = text.replace(placeholder, value)
        (below / f"{name}.yaml").write_text(text, encoding="utf-8")
        environ[f"PLUG_TOKEN_{name.upper().replace('-', '_')}"] = make_token(number)
    fleet = Fleet(folder, count, environ)
    fleet.list_files()
    return fleet


def make_jwt(number: int) -> str:
    """Return about 110 characters like a JWT, with a unique organization and no valid signature.

    Linux takes 2 MiB of variables and arguments together with the usual 8 MiB of stack, so 10,000 of them fit.
    """
    parts = ({"alg": "HS256", "typ": "JWT"}, {"organizationId": f"org-{number:05d}"})
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join((*encoded, f"signature-{number:05d}-{'x' * 10}"))


def make_look_alike(number: int) -> str:
    """Return a token that shares pieces with the text of all manifests, and is in none of them."""
    return f"tok-company-{number:05d}"
