"""Attempts to make a run send a token, or a part of one, anywhere but to the configured host.

See docs/settings.md, docs/contract.md#requests.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.core.workflow.markers import Marker
from reconciler.errors import InputError, PostFailed
from reconciler.github.hub import open_hub
from reconciler.ports import Posted
from tests.acceptance.conftest import Cli, Wire, canary, only, reply
from tests.contract.remotes import git
from tests.fuzz.hostile import drive
from tests.receiver import Authority, serve_receiver

Wires = Callable[[], Wire]
UPDATE = "/api/integrations/update-webhooks"


@pytest.fixture
def evil(wires: Wires) -> Wire:
    """Return a server of an attacker, which no run may connect to."""
    return wires()


# --- answers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [300, 301, 303, 304, 307, 308, 401, 407])
def test_no_answer_leads_the_token_elsewhere(cli: Cli, wire: Wire, evil: Wire, status: int) -> None:
    """A Location, a Refresh, a page that redirects, a login and a proxy to use are all ignored."""
    place = f"{evil.base_url}{UPDATE}"
    page = f'<meta http-equiv="refresh" content="0; url={place}"><script>location="{place}"</script>'.encode()
    headers = [
        *(f"Location: {place}", f"Content-Location: {place}", f"Refresh: 0; url={place}", f"URI: {place}"),
        *(f"Link: <{place}>; rel=canonical", f'Alt-Svc: http/1.1="127.0.0.1:{evil.port}"; ma=60', "Set-Cookie: a=b"),
        *('WWW-Authenticate: Basic realm="x"', "WWW-Authenticate: Negotiate", "Proxy-Authenticate: Basic"),
    ]
    wire.answers = [reply(status, b"" if status == 304 else page, headers)]
    ran = cli.run("apply", "--yes", "--format", "json", code=1)
    assert ran.outcomes == {"loja": "rejected"}
    assert only(wire.requests).header("Authorization") == cli.token("loja")
    assert not [value for name, value in wire.requests[0].headers if name.lower() in ("cookie", "proxy-authorization")]
    assert evil.connections == 0


@pytest.mark.parametrize("status", [301, 307, 401])
def test_no_answer_leads_the_partner_token_elsewhere(cli: Cli, wire: Wire, evil: Wire, status: int) -> None:
    """The read of an account doesn't follow them either."""
    cli.manifest("loja", more="account_id: '1'\n")
    cli.environ |= {"PLUG_PARTNER_TOKEN": canary("partner"), "RECONCILER_PARTNER__BASE_URL": wire.base_url}
    wire.answers = [reply(status, b"", [f"Location: {evil.base_url}/", 'WWW-Authenticate: Basic realm="x"'])]
    cli.run("drift", "--observe", code=1)
    assert only(wire.requests).header("Authorization").startswith("Bearer canary-partner")
    assert evil.connections == 0


# --- base URLs ---------------------------------------------------------------------------------------

TRICKS = [
    "https://www.plugchat.com.br@127.0.0.1:{port}",
    "https://www.plugchat.com.br:443@127.0.0.1:{port}/",
    "http://a:b@127.0.0.1:{port}",
    "https://127.0.0.1:{port}\\@www.plugchat.com.br",
    "https://www.plugchat.com.br\\@127.0.0.1:{port}",
    "https://www.plugchat.com.br#@127.0.0.1:{port}",
    "https://www.plugchat.com.br?@127.0.0.1:{port}",
    "https://www.plugchat.com.br%2f@127.0.0.1:{port}",
    "https://www.plugchat.com.br%40127.0.0.1:{port}",
    "https://www.plugchat.com.br.",
    "https://www.plugchat.com.br.evil.test",
    "https://evil.test/www.plugchat.com.br",
    "https://wwwxplugchat.com.br",
    "https://www.plugch\u0430t.com.br",
    "https://www\u3002plugchat.com.br",
    "https://www.plugchat.com.br\uff0fx",
    "https://xn--www-plugchat.com.br",
    "https://www.plugchat.com.br:0",
    "https://www.plugchat.com.br:65536",
    "https://www.plugchat.com.br:+443",
    "https://www.plugchat.com.br:0443",
    "https://www.plugchat.com.br:",
    "https://www.plugchat.com.br/..",
    "https://www.plugchat.com.br/../x",
    "https://www.plugchat.com.br/%2e%2E/x",
    "https://www.plugchat.com.br/a/.%2e",
    "https://www.plugchat.com.br/./",
    "https://www.plugchat.com.br/?x=",
    "https://www.plugchat.com.br/#",
    "https://www.plugchat.com.br\t",
    "https://www.plugchat.com.br\nx",
    " https://www.plugchat.com.br",
    "HTTPS://www.plugchat.com.br",
    "http://www.plugchat.com.br",
    "//127.0.0.1:{port}",
    "///127.0.0.1:{port}",
    "https:/127.0.0.1:{port}",
    "https:127.0.0.1:{port}",
    "http://127.1:{port}",
    "http://0x7f.1:{port}",
    "http://0x7f000001:{port}",
    "http://2130706433:{port}",
    "http://0177.0.0.1:{port}",
    "http://127.0.0.1.:{port}",
    "http://0:{port}",
    "http://localhost.:{port}",
    "http://x.localhost:{port}",
    "http://127.0.0.1.nip.io:{port}",
    "http://[::1%25lo]:{port}",
    "http://[::ffff:127.0.0.1]:{port}",
    "http://[0:0:0:0:0:0:0:1]:{port}",
    "http://[::1x:{port}",
    "http://[127.0.0.1]:{port}",
    "http://%31%32%37.0.0.1:{port}",
    "ftp://127.0.0.1:{port}",
    "file:///etc/passwd",
    "unix:///x",
    "",
    "http://{{host}}:{port}",
    "http://{{secret:PLUG_SECRET_RECEIVE}}:{port}",
]


@pytest.mark.parametrize("way", ["flag", "variable", "file", "manifest", "partner"])
def test_no_spelling_of_a_base_url_leads_a_token_elsewhere(
    monkeypatch: pytest.MonkeyPatch, cli: Cli, evil: Wire, way: str
) -> None:
    """User information, look-alikes, ports, paths with .., loopback in other spellings: exit 3, nothing sent."""
    cli.fleet("loja")
    monkeypatch.chdir(cli.folder)
    environ = {name: value for name, value in cli.environ.items() if name.startswith(("PLUG_", "PATH", "HOME"))}
    for trick in TRICKS:
        url = trick.format(port=evil.port)
        if not url and way in ("variable", "partner"):
            continue  # An empty variable counts as unset.
        given, arguments = dict(environ), ["apply", "--yes", "--new-state"]
        match way:
            case "flag":
                arguments += ["--api-base-url", url]
            case "variable":
                given["RECONCILER_API__BASE_URL"] = url
            case "partner":
                given["RECONCILER_PARTNER__BASE_URL"] = url
            case "file":
                cli.write("reconciler.toml", f"[api]\nbase_url = {json.dumps(url)}\n")
            case _:
                cli.manifest("loja", more=f"api: {{base_url: {json.dumps(url)}}}\n")
        assert drive(cli.folder, given, *arguments).code == 3, url
    assert evil.connections == 0
    assert not cli.state_folder.exists()


@pytest.mark.parametrize(
    "hosts",
    [
        "*",
        "*.plugchat.com.br",
        "evil.test/",
        "https://evil.test",
        "evil.test:443",
        "a@evil.test",
        "evil.test.",
        "evil",
        "[::1",
        "",
    ],
)
def test_an_allowed_host_is_a_whole_name(cli: Cli, evil: Wire, hosts: str) -> None:
    """It can't be a pattern or part of a longer address; and one name allows no other."""
    cli.fleet("loja")
    environ = {"RECONCILER_API__ALLOWED_HOSTS": hosts, "RECONCILER_API__BASE_URL": "https://x.evil.test"}
    cli.run("apply", "--yes", "--new-state", code=3, env={**environ, "HTTPS_PROXY": evil.base_url})
    assert evil.connections == 0


# --- the environment ---------------------------------------------------------------------------------

SPELLINGS = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize("user", ["", "ana:canary-of-the-proxy@"])
def test_a_proxy_gets_only_the_request_for_a_tunnel(cli: Cli, evil: Wire, name: str, user: str) -> None:
    """It gets the name of Plug's host and its own password, and no token, whatever it answers."""
    cli.fleet("loja")
    evil.answers = [reply(407, b"", [f"Location: {evil.base_url}/", "Proxy-Authenticate: Basic"])]
    environ = {"RECONCILER_API__BASE_URL": "https://www.plugchat.com.br", name: f"http://{user}127.0.0.1:{evil.port}"}
    ran = cli.run("apply", "--yes", "--new-state", "--attempts", "1", "--format", "json", env=environ, code=1)
    assert ran.outcomes == {"loja": "failed"}
    assert "canary-of-the-proxy" not in ran.out + ran.err
    asked = only(evil.requests)
    assert (asked.method, asked.target) == ("CONNECT", "www.plugchat.com.br:443")
    assert cli.token("loja") not in f"{asked}"


@pytest.mark.parametrize(
    "proxy", ["socks5://127.0.0.1:{port}", "http://canary-pw:x@[", "ftp://127.0.0.1:{port}", "http://", "::::"]
)
def test_an_unusable_proxy_sends_nothing_and_shows_nothing(cli: Cli, evil: Wire, proxy: str) -> None:
    """It isn't bypassed either, as a user who sets a proxy wants no direct connections. No intent is written."""
    cli.fleet("loja")
    environ = {"RECONCILER_API__BASE_URL": "https://www.plugchat.com.br", "HTTPS_PROXY": proxy.format(port=evil.port)}
    ran = cli.run("apply", "--yes", "--new-state", "--format", "json", env=environ, code=3)
    assert "HTTPS_PROXY" in ran.err and not cli.state_folder.exists()
    assert "canary-pw" not in ran.out + ran.err and "internal error" not in ran.err
    assert evil.requests == []


def test_settings_of_other_programs_change_nothing(cli: Cli, wire: Wire, evil: Wire) -> None:
    """NETRC, proxies of every kind for loopback, and the variables of curl, git and requests are ignored."""
    netrc = cli.home / "other-netrc"
    netrc.write_text("machine 127.0.0.1 login ana password canary-of-a-netrc\ndefault login x password y\n")
    netrc.chmod(0o600)
    other = evil.base_url
    cli.environ |= {
        spelt: other
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "FTP_PROXY")
        for spelt in (name, name.lower())
    }
    cli.environ |= {
        "NETRC": str(netrc),
        "CURL_HOME": str(cli.home),
        "REQUESTS_CA_BUNDLE": "/nonexistent",
        "NO_PROXY": "",
    }
    cli.environ |= {"BASE_URL": other, "HTTPX_BASE_URL": other, "REQUEST_METHOD": "GET"}
    cli.run("apply", "--yes", code=0)
    assert only(wire.requests).header("Authorization") == cli.token("loja")
    assert evil.connections == 0


def test_the_keys_of_a_tls_connection_are_not_written(tmp_path: Path, cli: Cli) -> None:
    """With SSLKEYLOGFILE an attacker who records the connection could read the token."""
    authority = Authority(tmp_path)
    cli.fleet("loja")
    keys = cli.root / "keys.log"
    with serve_receiver(authority.context()) as plug:
        environ = {
            "RECONCILER_API__BASE_URL": plug.url(""),
            "SSL_CERT_FILE": str(authority.file),
            "SSLKEYLOGFILE": str(keys),
        }
        cli.run("apply", "--yes", code=0, env=environ)
    assert only(plug.requests).headers["authorization"] == cli.token("loja")
    assert not keys.exists() or ("TRAFFIC_SECRET" not in keys.read_text() and "CLIENT_RANDOM" not in keys.read_text())


# --- GitHub's token ----------------------------------------------------------------------------------


@pytest.fixture
def runner(cli: Cli) -> Cli:
    """Return a checkout with the variables of GitHub's runner, and a pull request."""
    cli.write("event.json", json.dumps({"pull_request": {"number": 4, "head": {"sha": "1" * 40}}}))
    cli.environ |= {
        "GITHUB_REPOSITORY": "acme/hooks",
        "GITHUB_SHA": "0" * 40,
        "GITHUB_RUN_ID": "7",
        "GITHUB_EVENT_PATH": str(cli.folder / "event.json"),
        "GITHUB_TOKEN": canary("github"),
    }
    return cli


def post(runner: Cli, **environ: str) -> Posted:
    """Post a comment, as a step of a workflow does."""
    with open_hub({**runner.environ, **environ}) as hub:
        return hub.put_comment(4, Marker("plan", 7, 1), "a plan")


@pytest.mark.parametrize(
    ("api", "server"),
    [
        ("https://evil.test", "https://github.com"),
        ("https://api.github.com.evil.test", "https://github.com"),
        ("https://api.github.com@evil.test", "https://github.com"),
        ("https://github.evil.test", "https://github.acme.com.br"),
        ("http://api.github.com", "https://github.com"),
        ("https://[", "https://github.com"),
        ("https://api.github.com\uff0fx", "https://github.com"),
        ("https://api.github.com/..", "https://github.com"),
    ],
)
def test_the_github_token_goes_to_github_alone(runner: Cli, evil: Wire, api: str, server: str) -> None:
    """It goes to the server that the runner names, or to its api. host; anything else is invalid input."""
    with pytest.raises(InputError, match="GITHUB_API_URL"):
        post(runner, GITHUB_API_URL=api, GITHUB_SERVER_URL=server, HTTPS_PROXY=evil.base_url)
    assert evil.connections == 0


@pytest.mark.parametrize(
    ("api", "server", "host"),
    [
        ("https://api.github.com", "https://github.com", "api.github.com"),
        ("https://github.acme.com.br/api/v3", "https://github.acme.com.br", "github.acme.com.br"),
        ("https://api.acme.ghe.com", "https://acme.ghe.com", "api.acme.ghe.com"),
    ],
)
def test_the_hosts_of_github_are_allowed(runner: Cli, evil: Wire, api: str, server: str, host: str) -> None:
    """github.com, a self-hosted server, GHE.com: the proxy is asked for a tunnel to it, and sees no token."""
    evil.answers = [reply(403)]
    with pytest.raises(PostFailed):
        post(runner, GITHUB_API_URL=api, GITHUB_SERVER_URL=server, https_proxy=evil.base_url)
    assert {(one.method, one.target) for one in evil.requests} == {("CONNECT", f"{host}:443")}
    assert runner.environ["GITHUB_TOKEN"] not in f"{evil.requests}"


def test_githubs_redirects_and_cookies_are_ignored(runner: Cli, wires: Wires, evil: Wire) -> None:
    """A redirect is a failed post; a cookie that no header can hold is no error, and isn't sent back."""
    api = wires()
    api.answers = [reply(307, b"", [f"Location: {evil.base_url}/"])]
    with pytest.raises(PostFailed):
        post(runner, GITHUB_API_URL=api.base_url)
    api.answers = [reply(200, b"[]", ["Set-Cookie: \xb2=\xb2", "Set-Cookie: a=b"]), reply(201, b"{}")]
    assert post(runner, GITHUB_API_URL=api.base_url).done == "created"
    assert not [name for one in api.requests for name, _ in one.headers if name.lower() == "cookie"]
    assert evil.connections == 0


@pytest.mark.parametrize("proxy", ["socks5://canary-pw:x@127.0.0.1:1", "ftp://canary-pw:x@127.0.0.1"])
def test_an_unusable_proxy_is_reported_without_its_password(runner: Cli, proxy: str) -> None:
    """The steps for GitHub report it too, as invalid input."""
    with pytest.raises(InputError, match="HTTPS_PROXY") as refused:
        post(runner, HTTPS_PROXY=proxy)
    assert "canary-pw" not in str(refused.value)


# --- git, which publishes what it gets -------------------------------------------------------------------


def test_an_actor_mentions_no_user_in_the_commits_of_the_state(tmp_path: Path, cli: Cli) -> None:
    """GitHub reads the commit messages that it gets: mentions, issues, addresses."""
    cli.fleet("loja")
    git(tmp_path, "init", "-q", "--bare", "origin.git")
    git(cli.folder, "init", "-q")
    git(cli.folder, "remote", "add", "origin", str(tmp_path / "origin.git"))
    cli.environ |= {
        "GITHUB_ACTOR": "@octo/team closes #12, GH-3\nCo-authored-by: x <x@y.test>",
        "GITHUB_RUN_ID": "::error::x",
    }
    cli.run("apply", "--yes", "--state", "git:origin/state", code=0)
    log = git(tmp_path / "origin.git", "log", "--format=%B%an%ae%cn%ce", "state")
    assert "octo/team" in log and not [
        sign for sign in ("@octo", "#12", "GH-3", "\nCo-authored", "\n::") if sign in log
    ]


# --- files that make a run hang ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["pipe", "device", "flood"])
@pytest.mark.parametrize("name", ["reconciler.toml", "pyproject.toml", "tokens.yaml", ".reconciler/state/loja.json"])
def test_a_file_that_never_ends_is_refused(cli: Cli, kind: str, name: str) -> None:
    """A branch can hold a link to a device, and a checkout a pipe."""
    cli.fleet("loja")
    path = cli.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "pipe":
        os.mkfifo(path, 0o600)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.touch(0o600)
        os.truncate(path, 1 << 40)  # This file of a terabyte uses no space on the disk.
    cli.planted.add(path)  # The helper would read it too.
    environ = {"RECONCILER_TOKENS_FILE": "tokens.yaml"} if name == "tokens.yaml" else {}
    ran = cli.run("apply", "--yes", env=environ, code=4 if name.endswith(".json") else 3)
    assert "internal error" not in ran.err and path.name in ran.err + ran.out
