"""The routes beside the PUT: the partner API's read of an account, and the sandbox's control routes, `/_sandbox/…`.

See docs/contract.md#sandbox.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from reconciler.model import EVENTS, Event
from reconciler.plug.examples import example_bodies
from reconciler.sandbox.plug import Company, Malformed, SimulatedPlug, is_loopback, parse_edit, parse_object

ACCOUNT_PATH = "/integrator/account/"
DELIVERY_TIMEOUT_S = 5.0


def make_routes(plug: SimulatedPlug) -> Starlette:
    """Return the application for all requests but the PUT of the webhooks."""
    controls: Mapping[str, _Control] = {"deliver": _deliver, "edit": _edit, "show": _show}
    routes = [Route(f"/_sandbox/{name}", _make_endpoint(plug, one), methods=["POST"]) for name, one in controls.items()]

    async def show_account(request: Request) -> JSONResponse:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return JSONResponse({"error": "Authorization: Bearer <integrator token> is missing"}, 401)
        if not plug.knows_partner(token.strip()):
            return JSONResponse({"error": "the partner token is not valid"}, 401)
        account = plug.account(request.path_params["account_id"])
        if account is None:
            return JSONResponse({"error": "no such account; see --account"}, 404)
        return JSONResponse(account)

    routes.append(Route(ACCOUNT_PATH + "{account_id:path}/", show_account, methods=["GET"]))
    app = Starlette(routes=routes)
    app.router.redirect_slashes = False  # the address has a slash at its end; a redirect would hide a fault
    return app


_Control = Callable[[SimulatedPlug, str, dict[str, Any]], Awaitable[JSONResponse]]


def _make_endpoint(plug: SimulatedPlug, control: _Control) -> Callable[[Request], Awaitable[JSONResponse]]:
    """Return an endpoint that reads `{"token": …}` and leaves the rest to `control`."""

    async def answer(request: Request) -> JSONResponse:
        try:
            asked = parse_object(await request.body())
            token = asked.get("token")
            if not isinstance(token, str) or not token:
                raise Malformed("token is missing, or not a string")
            if not plug.knows(token):
                return JSONResponse({"error": "the token is not valid"}, 404)
            return await control(plug, token, asked)
        except Malformed as error:
            return JSONResponse({"error": str(error)}, 400)

    return answer


async def _show(plug: SimulatedPlug, token: str, _asked: dict[str, Any]) -> JSONResponse:
    company = plug.companies.get(token) or Company()
    counts = {"puts": company.puts, "received": company.received}
    return JSONResponse({"webhooks": company.webhooks, **counts})


async def _edit(plug: SimulatedPlug, token: str, asked: dict[str, Any]) -> JSONResponse:
    return JSONResponse({"webhooks": plug.edit(token, parse_edit(asked.get("webhooks")))})


async def _deliver(plug: SimulatedPlug, token: str, asked: dict[str, Any]) -> JSONResponse:
    """Simulate an event: POST the documented body to the registered URL, if it is on this machine."""
    event, body = _find_example(asked)
    company = plug.companies.get(token) or Company()
    url = company.webhooks[event]
    if url is None:
        return JSONResponse({"status": None, "error": f"{event} has no URL registered"}, 404)
    try:
        if not is_loopback(httpx.URL(url).host):
            error = f"the receiver of {event} is not on loopback: the sandbox sends nothing beyond this machine"
            return JSONResponse({"status": None, "error": error}, 409)
        async with asyncio.timeout(DELIVERY_TIMEOUT_S):
            return JSONResponse({"status": await _post(url, body)})
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as failure:
        return JSONResponse({"status": None, "error": f"the receiver didn't answer: {type(failure).__name__}"})


def _find_example(asked: Mapping[str, Any]) -> tuple[Event, bytes]:
    name = asked.get("event")
    if name not in EVENTS:
        raise Malformed("event is not one of " + ", ".join(EVENTS))
    event = Event(name)
    bodies = example_bodies(event)
    number = asked.get("example", 1)
    if type(number) is not int or not 1 <= number <= len(bodies):
        raise Malformed(f"example of {event} is a number from 1 to {len(bodies)}")
    return event, bodies[number - 1]


async def _post(url: str, body: bytes) -> int:
    headers = {"Content-Type": "application/json", "User-Agent": "plug-sandbox"}
    async with (
        # a receiver on loopback can't have a valid certificate, so it is not verified
        httpx.AsyncClient(verify=False, trust_env=False, timeout=DELIVERY_TIMEOUT_S) as client,  # noqa: S501
        client.stream("POST", url, content=body, headers=headers) as response,
    ):
        return response.status_code
