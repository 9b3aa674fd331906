"""`doctor`: the setup and what it lacks, with --github also on GitHub."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reconciler.sandbox.server import Sandbox
from reconciler.starter import WORKFLOWS
from reconciler.starter.workflow_files import make_digest
from tests.acceptance.conftest import canary
from tests.fuzz.hostile import drive
from tests.workflows.conftest import ACTION, HOST
from tests.workflows.fake_repository import REPOSITORY, FakeRepository, serve_repository


@dataclass
class Checkout:
    """A repository as `init` makes it, with real hosts, and with tokens and secrets in the variables."""

    folder: Path
    environ: dict[str, str]

    def look(self, *arguments: str, more: Mapping[str, str] | None = None) -> dict[str, dict[str, str]]:
        """Return the items of the JSON by area and name. The exit code must agree with them."""
        environ = {**self.environ, **(more or {})}
        secrets = [value for name, value in environ.items() if value and ("TOKEN" in name or "SECRET" in name)]
        drove = drive(self.folder, environ, "doctor", "--format", "json", *arguments, hidden=secrets)
        report: dict[str, Any] = json.loads(drove.out)
        assert report["format"] == "reconciler.doctor/1"
        assert report["ok"] == (not {item["state"] for item in report["items"]} & {"missing", "wrong"})
        assert drove.code == (0 if report["ok"] else 1)
        assert {tuple(item) for item in report["items"]} == {("area", "name", "state", "message", "hint")}
        return {f"{item['area']}: {item['name']}": item for item in report["items"]}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    assert drive(tmp_path, {}, "init", str(tmp_path), "--action", ACTION).code == 0
    monkeypatch.chdir(tmp_path)
    for name in ("staging", "production"):
        path = tmp_path / f"manifests/{name}.yaml"
        path.write_text(re.sub(r"hooks[\w-]*\.example\.com", HOST, path.read_text()))
    (tmp_path / "reconciler.toml").write_text("")
    environ = {
        "PATH": str(Path(shutil.which("git") or "").parent),
        "PLUG_TOKEN_STAGING": canary(),
        "PLUG_TOKEN_PRODUCTION": canary(),
        "PLUG_SECRET_RECEIVE": canary("secret"),
    }
    return Checkout(tmp_path, environ)


def states(items: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    return {name: item["state"] for name, item in items.items()}


def test_a_set_up_checkout_is_in_order(checkout: Checkout, sandbox: Sandbox) -> None:
    """Nothing is sent to Plug, or written."""
    sent = sandbox.plug.requests
    before = sorted(path for path in checkout.folder.rglob("*") if ".git/" not in str(path))
    found = checkout.look(more={"RECONCILER_API__BASE_URL": sandbox.base_url})
    assert states(found) == {
        "settings: reconciler.toml": "ok",
        "manifests: manifests": "ok",
        "state: .reconciler/state": "ok",
        "state: writable": "ok",
        "git: git": "ok",
        "tokens: staging": "ok",
        "tokens: production": "ok",
        "secrets: PLUG_SECRET_RECEIVE": "ok",
        "partner: PLUG_PARTNER_TOKEN": "ok",
    }
    assert sorted(path for path in checkout.folder.rglob("*") if ".git/" not in str(path)) == before
    assert sandbox.plug.requests == sent


def test_a_missing_item_has_the_command_to_type(checkout: Checkout) -> None:
    found = checkout.look("-e", "staging", more={"PLUG_TOKEN_STAGING": "", "PLUG_SECRET_RECEIVE": ""})
    assert found["tokens: staging"]["hint"] == "export PLUG_TOKEN_STAGING=…"
    assert found["secrets: PLUG_SECRET_RECEIVE"]["hint"] == "export PLUG_SECRET_RECEIVE=…"
    assert "tokens: production" not in found


def test_a_broken_manifest_and_a_broken_state_are_items(checkout: Checkout) -> None:
    """The rest is still checked, such as the other environment's token."""
    (checkout.folder / "manifests/staging.yaml").write_text("wave: x\n")
    state = checkout.folder / ".reconciler/state"
    state.mkdir(parents=True)
    (state / "production.json").write_text("")
    found = states(checkout.look())
    assert found["manifests: manifests/staging.yaml:1:7 wave"] == "wrong"
    assert found["state: production"] == "wrong"
    assert found["tokens: production"] == "ok"


def test_wrong_settings_are_an_item(checkout: Checkout) -> None:
    """Everything that depends on them is unknown."""
    (checkout.folder / "reconciler.toml").write_text("lease = 1\nstat = 2\n")
    found = checkout.look()
    assert {item["area"] for item in found.values() if item["state"] == "wrong"} == {"settings"}
    assert [item["state"] for item in found.values()].count("unknown") == 1


def test_an_invalid_setting_of_the_state_is_an_item(checkout: Checkout) -> None:
    found = checkout.look("--state", "git:nowhere")
    assert found["state: state"]["message"] == "does not name a remote and a branch"


def test_without_git_only_a_git_state_is_missing_something(checkout: Checkout) -> None:
    nowhere = {"PATH": str(checkout.folder)}
    assert checkout.look(more=nowhere)["git: git"]["state"] == "ok"
    assert checkout.look("--state", "git:origin/x", more=nowhere)["git: git"]["state"] == "missing"


def test_a_terminal_gets_a_checklist(checkout: Checkout) -> None:
    drove = drive(checkout.folder, {**checkout.environ, "PLUG_TOKEN_STAGING": ""}, "doctor")
    assert drove.code == 1
    assert "tokens\n  ✗ staging: no token: " in drove.out
    assert "\n    export PLUG_TOKEN_STAGING=…\n  ✓ production: PLUG_TOKEN_PRODUCTION: an opaque token" in drove.out
    assert drove.out.endswith("Doctor: 8 ok, 1 missing.\n")


def test_a_glob_that_matches_nothing_is_refused(checkout: Checkout) -> None:
    assert drive(checkout.folder, checkout.environ, "doctor", "-e", "stagin").code == 3


# --- GitHub --------------------------------------------------------------------------------------------------------


@pytest.fixture
def github(checkout: Checkout) -> Iterator[FakeRepository]:
    """A repository that `github setup` made, and whose secrets are set."""
    subprocess.run(["git", "init", "-q", "-b", "main"], check=True)
    subprocess.run(["git", "remote", "add", "origin", f"git@github.com:{REPOSITORY}.git"], check=True)
    (checkout.folder / "reconciler.toml").write_text('state = ".reconciler/state"\n')
    with serve_repository() as held:
        held.token = canary()
        checkout.environ |= {"GITHUB_TOKEN": held.token, "GITHUB_API_URL": held.url}
        for name in ("staging", "production"):
            held.add_environment(name, "PLUG_TOKEN", "PLUG_SECRET_RECEIVE")
        held.add_environment("plug-drift")
        held.variables = {"PLUG_APPLY": "true"}
        check = {"required_status_checks": [{"context": "Webhooks plan", "integration_id": 15368}]}
        reviews = {"required_approving_review_count": 1, "require_last_push_approval": True}
        held.rules["main"] = [
            {"type": "pull_request", "parameters": reviews},
            {"type": "required_status_checks", "parameters": check},
        ]
        for path in (checkout.folder / ".github/workflows").iterdir():
            for name, commit in re.findall(r"uses: ([\w.-]+/[\w.-]+)[\w./-]*@([0-9a-f]{40})", path.read_text()):
                held.commits[f"{name}/{commit}"] = "2099-01-01T00:00:00Z"
        yield held


def test_a_repository_that_is_set_up_is_in_order(checkout: Checkout, github: FakeRepository) -> None:
    """This works outside of a workflow too: the remote names the repository."""
    github.variables["PLUG_STATE"] = "s3://acme/webhooks"  # the setting is a folder, which the workflows can't use
    found = checkout.look("--github")
    assert set(states(found).values()) == {"ok"}
    wanted = {f"workflows: .github/workflows/{name}.yml" for name in WORKFLOWS}
    wanted |= {"github: environment staging", "github: secrets of production", "github: variable PLUG_APPLY"}
    wanted |= {"github: required check Webhooks plan", "github: rule of main", "github: action actions/checkout"}
    assert wanted <= set(found)


def test_what_is_not_set_up_is_named(checkout: Checkout, github: FakeRepository) -> None:
    """Each item has the command to type."""
    del github.environments["plug-drift"]
    github.environments["staging"]["deployment_branch_policy"] = None
    github.environment_secrets["production"] = []
    github.rules = {}
    plan = checkout.folder / ".github/workflows/plan.yml"
    plan.write_text(plan.read_text().replace("timeout-minutes: 15", "timeout-minutes: 16"))
    found = checkout.look("--github", "--state", "git:origin/reconciler-state")
    assert states(found) | {
        "github: environment plug-drift": "missing",
        "github: environment staging": "wrong",
        "github: secrets of production": "missing",
        "github: required check Webhooks plan": "missing",
        "github: rule of reconciler-state": "missing",
        "workflows: .github/workflows/plan.yml": "unknown",
    } == states(found)
    hint = found["github: secrets of production"]["hint"]
    assert hint == f"gh secret set PLUG_TOKEN --repo {REPOSITORY} --env production"


def test_missing_permissions_of_a_token_are_named(checkout: Checkout, github: FakeRepository) -> None:
    """A workflow's token can't get these permissions."""
    github.permissions = frozenset({"metadata", "actions", "contents"})
    found = checkout.look("--github")
    assert found["github: variables"]["message"].endswith("it takes the permission Variables (read)")
    unknown = {item["name"] for item in found.values() if item["state"] == "unknown"}
    assert unknown == {"variables", "secrets of the repository", "secrets of the GitHub Environments"}


def test_without_a_token_github_is_not_asked(checkout: Checkout, github: FakeRepository) -> None:
    del checkout.environ["GITHUB_TOKEN"]
    found = checkout.look("--github")
    assert found["github: GITHUB_TOKEN"]["hint"] == 'export GITHUB_TOKEN="$(gh auth token)"'
    assert github.requests == []


@pytest.mark.parametrize("token", ["canary token", "canary\n", "canar\u00ed", "canary\udc80"])
def test_a_token_for_github_that_can_not_be_sent_is_wrong(
    checkout: Checkout, github: FakeRepository, token: str
) -> None:
    """It is never shown, and the workflows are looked at."""
    checkout.environ["GITHUB_TOKEN"] = token
    drove = drive(checkout.folder, checkout.environ, "doctor", "--github", hidden=["canar"])
    assert drove.code == 1 and "✗ GITHUB_TOKEN: has a blank or a character that no token has" in drove.out
    assert "plan.yml: this version's" in drove.out
    assert github.requests == []


def test_a_workflow_of_an_earlier_version_is_named(checkout: Checkout, github: FakeRepository) -> None:
    drift = checkout.folder / ".github/workflows/drift.yml"
    first, rest = drift.read_text().split("\n", 1)
    older = rest.replace("timeout-minutes: 30", "timeout-minutes: 31")
    drift.write_text(re.sub(r"\([0-9a-f]{16}\)", f"({make_digest(older)})", first) + "\n" + older)
    item = checkout.look("--github")["workflows: .github/workflows/drift.yml"]
    assert (item["state"], item["hint"]) == ("wrong", "reconciler init --upgrade")


@pytest.mark.parametrize("value", ["socks5://127.0.0.1:1", "http://ana:canary/password@proxy:1"])
def test_a_proxy_that_can_not_be_used_is_found_before_anything_is_written(checkout: Checkout, value: str) -> None:
    """doctor finds it too. A host that bypasses the proxy does not need it."""
    proxy = {"HTTPS_PROXY": value}
    item = checkout.look(more=proxy)["settings: HTTPS_PROXY"]
    assert (item["state"], "canary" in str(item)) == ("wrong", False)
    drove = drive(checkout.folder, checkout.environ | proxy, "apply", "--yes", "--new-state")
    assert (drove.code, drove.err.startswith("error: HTTPS_PROXY: "), "canary" in drove.err) == (3, True, False)
    assert not (checkout.folder / ".reconciler").exists()
    assert "settings: HTTPS_PROXY" not in checkout.look(more=proxy | {"NO_PROXY": "plugchat.com.br"})


def test_a_proxy_and_the_trusted_certificates_are_looked_at(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = checkout.look(more={"ALL_PROXY": "http://ana:canary@proxy.acme:3128"})
    assert found["settings: ALL_PROXY"]["message"] == "requests to Plug go through the proxy proxy.acme:3128"
    monkeypatch.setenv("SSL_CERT_FILE", str(checkout.folder / "nothing.pem"))
    assert checkout.look()["settings: SSL_CERT_FILE"]["state"] == "wrong"


def test_an_account_is_not_read_over_a_proxy_that_can_not_be_used(checkout: Checkout) -> None:
    manifest = checkout.folder / "manifests/staging.yaml"
    manifest.write_text(f"{manifest.read_text()}account_id: 1-2-3\n")
    environ = checkout.environ | {"PLUG_PARTNER_TOKEN": canary(), "HTTPS_PROXY": "socks5://127.0.0.1:1"}
    drove = drive(checkout.folder, environ, "plan", "--observe")
    assert (drove.code, "HTTPS_PROXY: SOCKS proxies are not supported" in drove.err) == (3, True)
