"""The sandbox over HTTP."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.errors import InputError
from reconciler.model import EVENTS, BodyForm, Event
from reconciler.plug.examples import example_bodies
from reconciler.sandbox.app import PUT_PATH
from reconciler.sandbox.plug import Options, PutFate
from reconciler.sandbox.server import _Server, serve_in_thread

TOKEN = {"Authorization": "canary-token"}
JSON = {"Content-Type": "application/json"}


def test_a_put_replaces_the_webhooks(serve: Any, webhooks: dict[str, str]) -> None:
    """The answer is the one of the vendor's sibling call, and the company has all seven."""
    client = serve()
    answer = client.put(webhooks)
    assert (answer.status, answer.body) == (200, {"value": True})
    assert client.post("show", {"token": "canary-token"}).body == {
        "webhooks": webhooks,
        "puts": 1,
        "received": 1,
    }


@pytest.mark.parametrize(
    ("method", "headers", "body", "status"),
    [
        ("POST", {}, b"{", 405),
        ("GET", {}, b"", 405),
        ("DELETE", {**TOKEN, **JSON}, b"", 405),
        ("PUT", {}, b"{", 401),
        ("PUT", {**JSON}, b"{", 401),
        ("PUT", {"Authorization": "", **JSON}, b"{", 401),
        ("PUT", {"Authorization": "Bearer", **JSON}, b"{", 401),
        ("PUT", {"Authorization": "Bearer ", **JSON}, b"{", 401),
        ("PUT", {**TOKEN}, b"{", 415),
        ("PUT", {**TOKEN, "Content-Type": "text/json"}, b"{", 415),
        ("PUT", {**TOKEN, "Content-Type": "application/jsonx"}, b"{", 415),
        ("PUT", {**TOKEN, **JSON}, b"{", 400),
        ("PUT", {**TOKEN, **JSON}, b"[]", 400),
        ("PUT", {**TOKEN, **JSON}, b"{}", 400),
        ("PUT", {**TOKEN, **JSON}, b"x" * 3_000_000, 400),
    ],
)
def test_the_first_fault_in_the_documented_order_is_answered(
    serve: Any, method: str, headers: dict[str, str], body: bytes, status: int
) -> None:
    """The order is 405, 401, 415, 400, and nothing is changed."""
    client = serve()
    answer = client.send(method, PUT_PATH, body, headers)
    assert answer.status == status
    assert answer.body["error"]
    assert "canary" not in str(answer.body)
    assert (client.plug.received, client.plug.requests) == ([], 1)


def test_a_405_names_the_method_that_is_allowed(serve: Any) -> None:
    """HTTP requires the header Allow."""
    assert serve().send("PATCH", PUT_PATH).headers["allow"] == "PUT"


def test_a_wrong_request_is_refused_before_any_fault_is_simulated(serve: Any) -> None:
    """A wrong request is wrong on a failing server too."""
    client = serve(failure_rate=1.0, lost_answers=1.0, rate_limit=0.001)
    assert [client.put({}).status for _ in range(3)] == [400, 400, 400]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json; charset=utf-8"},
        {"Content-Type": "Application/JSON"},
        {"Authorization": "Bearer canary-token"},
        {"Authorization": "bearer canary-token"},
    ],
)
def test_both_spellings_of_a_header_are_accepted(serve: Any, webhooks: dict[str, str], headers: dict[str, str]) -> None:
    """A charset is fine, and so is Bearer; the company is the same."""
    client = serve()
    assert client.put(webhooks, **headers).status == 200
    assert client.plug.companies.keys() == {"canary-token"}


@pytest.mark.parametrize("ignore", [False, True])
@pytest.mark.parametrize("form", BodyForm)
def test_another_form_than_the_one_asked_for_is_refused_or_ignored(
    serve: Any, webhooks: dict[str, str], form: BodyForm, *, ignore: bool
) -> None:
    """400 that names both forms, or 200 as if it were done; a body that is wrong in itself is refused either way."""
    client = serve(body_forms=frozenset({form}), ignore_other_form=ignore)
    bodies: dict[BodyForm, dict[str, Any]] = {BodyForm.FLAT: webhooks, BodyForm.VALUE: {"value": webhooks}}
    own, other = bodies.pop(form), *bodies.values()
    refused = client.put(other)
    assert refused.status == (200 if ignore else 400)
    assert ignore or ("top level" in refused.body["error"] and "`value`" in refused.body["error"])
    assert set(client.plug.company("canary-token").webhooks.values()) == {None}
    assert client.put(own).status == 200
    assert client.plug.company("canary-token").webhooks == webhooks
    assert client.put({"value": {}}).status == 400


def test_a_path_prefix_is_accepted(serve: Any, webhooks: dict[str, str]) -> None:
    """A base URL may have one, for the PUT and for the account."""
    client = serve(accounts={"7": "canary-token"})
    put = client.send("PUT", "/a/prefix" + PUT_PATH, webhooks, {**TOKEN, **JSON})
    account = client.send("GET", "/a/prefix/integrator/account/7/", headers={"Authorization": "Bearer p"})
    assert (put.status, account.status) == (200, 200)
    assert client.send("PUT", PUT_PATH + "/", webhooks, {**TOKEN, **JSON}).status == 404


def test_only_the_given_tokens_are_valid(serve: Any, webhooks: dict[str, str]) -> None:
    """With --token, any other is refused, and never repeated."""
    client = serve(tokens=frozenset({"a", "b"}))
    statuses = [client.put(webhooks, token=token).status for token in ("a", "b", "canary")]
    assert statuses == [200, 200, 401]
    assert "canary" not in str(client.put(webhooks, token="canary").body)
    assert client.post("show", {"token": "canary"}).status == 404


def test_a_lost_answer_ends_the_connection_without_a_byte(
    serve: Any, webhooks: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    """The PUT is done, the connection ends without a status line, and nothing is logged."""
    client = serve(lost_answers=1.0)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        client.put(webhooks)
    assert client.plug.company("canary-token").webhooks == webhooks
    assert client.post("show", {"token": "canary-token"}).body["puts"] == 1
    assert capfd.readouterr() == ("", "")


def test_a_connection_survives_until_the_answer_is_lost(serve: Any, webhooks: dict[str, str]) -> None:
    """A lost answer ends a reused connection too, and the next connection works."""
    client = serve()
    client.plug.forced.extend([PutFate.DONE, PutFate.LOST, PutFate.DONE])
    assert client.put(webhooks).status == 200
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        client.put(webhooks)
    assert client.put(webhooks).status == 200


def test_a_failure_does_nothing(serve: Any, webhooks: dict[str, str]) -> None:
    """500 or 503, and the company keeps what it had."""
    client = serve(failure_rate=1.0)
    assert {client.put(webhooks).status for _ in range(20)} == {500, 503}
    assert client.post("show", {"token": "canary-token"}).body == {
        "webhooks": dict.fromkeys(EVENTS),
        "puts": 0,
        "received": 20,
    }


def test_over_the_rate_limit_comes_429_with_the_time_to_wait(serve: Any, webhooks: dict[str, str]) -> None:
    """The limit counts all companies together."""
    client = serve(rate_limit=0.02)
    first, second = (client.put(webhooks, token=token) for token in "ab")
    assert (first.status, second.status) == (200, 429)
    assert 1 <= int(second.headers["retry-after"]) <= 50
    assert "b" not in client.plug.companies or client.plug.company("b").puts == 0


def test_latency_comes_before_the_act(serve: Any, webhooks: dict[str, str]) -> None:
    """A PUT in flight has changed nothing before its latency has passed."""
    client = serve(latency_s=0.3)
    with ThreadPoolExecutor(1) as pool:
        started = time.monotonic()
        answer = pool.submit(client.put, webhooks)
        while client.plug.requests == 0 and time.monotonic() - started < 60:
            time.sleep(0.005)
        assert client.plug.received == []
        assert answer.result().status == 200
        assert time.monotonic() - started > 0.25


def test_a_put_is_done_although_its_client_gave_up(serve: Any, webhooks: dict[str, str]) -> None:
    """A timeout on the client's side doesn't take the PUT back."""
    client = serve(latency_s=0.1)
    content = json.dumps(webhooks).encode()
    head = f"PUT {PUT_PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: t\r\nContent-Type: application/json\r\n"
    port = int(client.base_url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        deadline = time.monotonic() + 60
        while client.plug.requests == 0 and time.monotonic() < deadline:
            time.sleep(0.005)
    while not client.plug.received and time.monotonic() < deadline:
        time.sleep(0.01)
    assert client.plug.company("t").webhooks == webhooks


def test_the_options_can_be_changed_while_it_runs(serve: Any, webhooks: dict[str, str]) -> None:
    """A test may let Plug fail for a while."""
    client = serve()
    assert client.put(webhooks).status == 200
    client.plug.options = replace(client.plug.options, failure_rate=1.0)
    assert client.put(webhooks).status in (500, 503)


def test_a_connection_is_kept(serve: Any, webhooks: dict[str, str]) -> None:
    """Accepted and refused requests share one connection."""
    client = serve()
    client.put(webhooks)
    port = client.port_of_this_end()
    client.put({})
    client.send("GET", "/nowhere")
    client.post("show", {"token": "t"})
    client.put(webhooks)
    assert client.port_of_this_end() == port


def test_many_clients_at_once_are_all_answered(serve: Any, webhooks: dict[str, str]) -> None:
    """Every company ends with its own webhooks."""
    first = serve()

    def put(number: int) -> int:
        port = first.base_url.rpartition(":")[2]
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=120)
        try:
            body = json.dumps({**webhooks, "startAttendance": f"https://x.example.com/{number}"})
            connection.request("PUT", PUT_PATH, body, {"Authorization": f"t{number}", **JSON})
            return connection.getresponse().status
        finally:
            connection.close()

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(put, range(100))) == {200}
    shown = {token: company.webhooks["startAttendance"] for token, company in first.plug.companies.items()}
    assert shown == {f"t{number}": f"https://x.example.com/{number}" for number in range(100)}


# --- the partner's view ----------------------------------------------------------------------------


def test_an_account_follows_the_put_and_the_dashboard(serve: Any, webhooks: dict[str, str]) -> None:
    """A partner sees what the token's company has now."""
    client = serve(accounts={"32133-31232": "canary-token"})
    bearer = {"Authorization": "Bearer partner"}
    path = "/integrator/account/32133-31232/"
    before = client.send("GET", path, headers=bearer)
    client.put(webhooks)
    after = client.send("GET", path, headers=bearer)
    client.post("edit", {"token": "canary-token", "webhooks": {"startAttendance": None}})
    edited = client.send("GET", path, headers=bearer)
    assert (before.status, before.body["onStartAttendance"]) == (200, None)
    assert after.body["onStartAttendance"] == webhooks["startAttendance"]
    assert edited.body == {**after.body, "onStartAttendance": None}


@pytest.mark.parametrize(
    ("path", "authorization", "status"),
    [
        ("/integrator/account/7/", "", 401),
        ("/integrator/account/7/", "partner", 401),
        ("/integrator/account/7/", "Bearer ", 401),
        ("/integrator/account/8/", "", 401),
        ("/integrator/account/8/", "Bearer partner", 404),
        ("/integrator/account/7", "Bearer partner", 404),
    ],
)
def test_an_account_needs_a_bearer_and_an_id(serve: Any, path: str, authorization: str, status: int) -> None:
    """The token is looked at first, then the id; the slash at the end is part of the address."""
    client = serve(accounts={"7": "t"})
    assert client.send("GET", path, headers={"Authorization": authorization}).status == status


def test_a_wrong_partner_token_is_refused_where_one_is_given(serve: Any) -> None:
    """It is refused before the id is checked."""
    client = serve(accounts={"7": "t"}, partner_tokens=frozenset({"canary-partner"}))
    answers = {
        (token, path): client.send("GET", path, headers={"Authorization": f"Bearer {token}"}).status
        for token in ("canary-partner", "t", "other")
        for path in ("/integrator/account/7/", "/integrator/account/8/")
    }
    assert [status for (token, _), status in answers.items() if token != "canary-partner"] == [401] * 4
    assert answers["canary-partner", "/integrator/account/7/"] == 200
    assert answers["canary-partner", "/integrator/account/8/"] == 404


def test_an_account_has_the_documented_fields(serve: Any, webhooks: dict[str, str]) -> None:
    """Those of the vendor's example; onMessageDeliveryError beside them where it is set.

    See docs/plug-api.md#the-partner-api.
    """
    documented = ["name", "externalId", "active", "onStartAttendance", "onFinishAttendance"]
    documented += ["onReceiveMessage", "onSendingMessage", "onMessageStatus"]
    client = serve(accounts={"7": "canary-token"})
    bearer = {"Authorization": "Bearer partner"}
    assert list(client.send("GET", "/integrator/account/7/", headers=bearer).body) == documented
    client.put(webhooks)
    shown = client.send("GET", "/integrator/account/7/", headers=bearer).body
    assert list(shown) == [*documented, "onMessageDeliveryError"]
    assert webhooks["whenDisconnecting"] not in shown.values()


def test_an_account_can_only_be_read(serve: Any) -> None:
    """Partners read; nothing else is documented for us."""
    assert serve(accounts={"7": "t"}).send("PUT", "/integrator/account/7/").status == 405


# --- control routes --------------------------------------------------------------------------------


def test_an_edit_answers_all_webhooks(serve: Any, webhooks: dict[str, str]) -> None:
    """A partial edit keeps the other webhooks, and does not count as a PUT."""
    client = serve()
    client.put(webhooks)
    answer = client.post("edit", {"token": "canary-token", "webhooks": {"messageStatus": "https://x.example.com"}})
    assert answer.status == 200
    assert answer.body == {"webhooks": {**webhooks, "messageStatus": "https://x.example.com"}}
    assert client.plug.company("canary-token").puts == 1


@pytest.mark.parametrize("control", ["edit", "show", "deliver"])
@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"token": ""}', b'{"token": 7}'])
def test_a_control_route_asks_for_a_token(serve: Any, control: str, body: bytes) -> None:
    """Anything else is explained."""
    answer = serve().post(control, body)
    assert answer.status == 400
    assert answer.body["error"]


@pytest.mark.parametrize("webhooks", [None, {"status": None}, {"messageStatus": "http://x.example.com"}])
def test_an_edit_is_checked(serve: Any, webhooks: object) -> None:
    """URLs that the API would refuse are refused."""
    client = serve()
    assert client.post("edit", {"token": "t", "webhooks": webhooks}).status == 400
    assert client.plug.companies == {}


@pytest.mark.parametrize("event", EVENTS)
def test_a_delivery_calls_the_registered_receiver(
    serve: Any, webhooks: dict[str, str], receiver: Any, event: Event
) -> None:
    """With the documented body, byte for byte, and its status is answered."""
    client = serve()
    client.put({**webhooks, event: f"{receiver.url}/plug?key=1"})
    answer = client.post("deliver", {"token": "canary-token", "event": event})
    assert (answer.status, answer.body) == (200, {"status": 204})
    assert receiver.received == [("/plug?key=1", "application/json", example_bodies(event)[0])]


def test_the_second_example_is_delivered_on_request(serve: Any, webhooks: dict[str, str], receiver: Any) -> None:
    """finishAttendance has two bodies, other events have fewer."""
    client = serve()
    client.put({**webhooks, "finishAttendance": receiver.url})
    asked = {"token": "canary-token", "event": "finishAttendance"}
    assert client.post("deliver", {**asked, "example": 2}).body == {"status": 204}
    assert receiver.received[0][2] == example_bodies(Event.FINISH_ATTENDANCE)[1]
    for wrong in (0, 3, "2", True, None):
        assert client.post("deliver", {**asked, "example": wrong}).status == 400
    assert client.post("deliver", {**asked, "event": "messageStatus", "example": 2}).status == 400


@pytest.mark.parametrize("status", [302, 307, 404, 500])
def test_the_receiver_s_status_is_answered_as_it_is(
    serve: Any, webhooks: dict[str, str], receiver: Any, status: int
) -> None:
    """A redirect is not followed, and a receiver's error is not the sandbox's."""
    receiver.status = status
    client = serve()
    client.put({**webhooks, "messageStatus": receiver.url})
    answer = client.post("deliver", {"token": "canary-token", "event": "messageStatus"})
    assert (answer.status, answer.body, len(receiver.received)) == (200, {"status": status}, 1)


def test_a_receiver_that_is_not_there_has_no_status(serve: Any, webhooks: dict[str, str]) -> None:
    """The status is null, with the reason."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        client = serve()
        client.put({**webhooks, "messageStatus": f"http://127.0.0.1:{taken.getsockname()[1]}/canary"})
        answer = client.post("deliver", {"token": "canary-token", "event": "messageStatus"})
    assert (answer.status, answer.body["status"]) == (200, None)
    assert "ConnectError" in answer.body["error"]
    assert "canary" not in answer.body["error"]


def test_nothing_is_delivered_beyond_this_machine(serve: Any, webhooks: dict[str, str]) -> None:
    """A registered URL elsewhere is refused, with the reason."""
    client = serve()
    client.put(webhooks)
    answer = client.post("deliver", {"token": "canary-token", "event": "messageStatus"})
    assert (answer.status, answer.body["status"]) == (409, None)
    assert "loopback" in answer.body["error"]


def test_a_delivery_needs_an_event_and_a_url(serve: Any) -> None:
    """An event that is not one of the seven, and one without a URL, are refused."""
    client = serve()
    assert client.post("deliver", {"token": "t", "event": "canary"}).status == 400
    assert client.post("deliver", {"token": "t", "event": ["messageStatus"]}).status == 400
    assert client.post("deliver", {"token": "t"}).status == 400
    assert client.post("deliver", {"token": "t", "event": "messageStatus"}).status == 404


# --- start and stop --------------------------------------------------------------------------------


def test_it_serves_on_loopback_while_the_block_lasts() -> None:
    """Connections are accepted at the first line and refused after the last; the thread is gone."""
    before = set(threading.enumerate())  # another test's sandbox may be running beside this one
    with serve_in_thread() as sandbox:
        assert sandbox.base_url.startswith("http://127.0.0.1:")
        port = int(sandbox.base_url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)):
            pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    assert not [thread for thread in threading.enumerate() if thread not in before and thread.name == "sandbox"]


def test_it_can_be_stopped_early_and_twice() -> None:
    """Tests of an unreachable Plug need it."""
    with serve_in_thread() as sandbox:
        sandbox.stop()
        sandbox.stop()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", int(sandbox.base_url.rpartition(":")[2])))


def test_a_port_can_be_had_again_at_once(serve: Any, webhooks: dict[str, str]) -> None:
    """A sandbox restarted on its port starts, though connections to the last one linger."""
    with serve_in_thread() as sandbox:
        port = int(sandbox.base_url.rpartition(":")[2])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        connection.request("GET", "/")
        connection.getresponse().read()
    connection.close()
    assert serve(port=port).put(webhooks).status == 200


def test_a_port_in_use_is_an_error_of_the_input(serve: Any) -> None:
    """It names the port and what to do."""
    port = int(serve().base_url.rpartition(":")[2])
    with (
        pytest.raises(InputError, match=f"port {port} .*--port"),
        serve_in_thread(Options(port=port)),
    ):
        pass


def test_a_failing_block_stops_it_too() -> None:
    """The block's own error comes out."""
    before = set(threading.enumerate())
    with pytest.raises(ZeroDivisionError), serve_in_thread():
        raise ZeroDivisionError
    assert not [thread for thread in threading.enumerate() if thread not in before and thread.name == "sandbox"]


def test_a_sandbox_that_does_not_start_is_reported_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the library fails to start, nothing waits for it, and the port is free again."""
    before = set(threading.enumerate())

    async def fail(self: _Server, sockets: list[socket.socket]) -> None:
        self.should_exit = True
        for listener in sockets:
            listener.close()

    monkeypatch.setattr(_Server, "startup", fail)
    with pytest.raises(RuntimeError, match="the sandbox did not start"), serve_in_thread():
        raise AssertionError("the block is not entered")
    assert not [thread for thread in threading.enumerate() if thread not in before and thread.name == "sandbox"]


def test_stopping_waits_for_no_slow_or_silent_client(serve: Any, webhooks: dict[str, str]) -> None:
    """A PUT in its latency is dropped undone, a half-sent one is cut, an idle connection is closed."""
    client = serve(latency_s=600.0)
    port = int(client.base_url.rpartition(":")[2])
    half = socket.create_connection(("127.0.0.1", port))
    half.sendall(f"PUT {PUT_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{{".encode())
    idle = socket.create_connection(("127.0.0.1", port))
    lost: list[BaseException] = []

    def put() -> None:
        try:
            client.put(webhooks)
        except OSError as error:
            lost.append(error)

    thread = threading.Thread(target=put)
    thread.start()
    deadline = time.monotonic() + 60
    while client.plug.requests < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    started = time.monotonic()
    client.stop()
    thread.join()
    assert time.monotonic() - started < 8  # below uvicorn's own patience of 10
    assert [half.recv(1), idle.recv(1), len(lost), client.plug.received] == [b"", b"", 1, []]
    half.close()
    idle.close()
