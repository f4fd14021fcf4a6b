"""The REST calls: routes, keys, limits, and one shape for every error.

No framework router: five routes need none, and each answer, a 404 too, must carry the error body and the two headers.
Order of checks: route, key, permission, rate, body, in-flight bound, shape, core. The cheapest refusal comes first, and
an unknown caller learns nothing about orders or instruments. A request takes its place among those in flight only when its
body is complete, so that nobody holds one by sending slowly.
"""

from __future__ import annotations

import math
import secrets
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiohttp import web

from engine import __version__, conventions
from engine.gateway import parse, render
from engine.gateway.errors import ERROR_CODES, RETRY_AFTER_S, from_core, outage
from engine.gateway.link import LinkBusy, LinkDown, OutcomeUnknown
from engine.gateway.metrics import GatewayMetrics
from engine.gateway.model import Amend, Cancel, Market, Refusal
from engine.gateway.server import MAX_CONNECTIONS, GatewayServer, read_body
from engine.gateway.service import OrderService
from engine.gateway.state import MAX_BODIES_PER_KEY, GatewayState
from engine.keys import KeyEntry, Permission
from engine.logs import JsonLog
from engine.refusals import Call as Asked
from engine.refusals import is_refusal


class Call(NamedTuple):
    """An admitted request. `started_s`: when its bytes were complete."""

    request: web.BaseRequest
    key: KeyEntry
    body: bytes
    started_s: float


Answer = tuple[int, bytes] | Refusal
Handler = Callable[[Call], Awaitable[Answer]]

ORDER_PREFIX = conventions.PATH_ORDERS + "/"
BOOK_PREFIX = conventions.PATH_ORDERBOOK + "/"
ADMIN_PATHS = (conventions.PATH_METRICS, conventions.PATH_HEALTH, conventions.PATH_READY)
EXPOSITION = "text/plain; version=1.0.0; charset=utf-8"
CLOSING = ("bad_request", "body_too_large", "request_timeout")
"""After these the rest of the connection's bytes cannot be trusted to be a request."""
WITH_BODY = ("orders_post", "orders_patch")


class RestApi:
    def __init__(
        self,
        state: GatewayState,
        service: OrderService,
        metrics: GatewayMetrics,
        market: Market,
        log: JsonLog,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._state, self._service, self._metrics, self._market, self._log, self._clock = state, service, metrics, market, log, clock
        self._headers = {
            conventions.HEADER_GATEWAY: state.name,
            conventions.HEADER_VERSION: __version__,
            "Content-Type": "application/json",
            "Server": "exchange",
        }
        self._orders: dict[str, tuple[str, Handler]] = {
            "DELETE": ("orders_delete", self._delete_order),
            "PATCH": ("orders_patch", self._patch_order),
        }

    def server(self, max_connections: int = MAX_CONNECTIONS) -> GatewayServer:
        return GatewayServer(self._handle, self._malformed, max_connections)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        started_s = self._clock()
        if request.path in ADMIN_PATHS:
            return self._admin(request.path)
        route, handler = self._route(request.method, request.path)
        try:
            answer = handler if isinstance(handler, Refusal) else await self._guarded(request, route, handler, started_s)
        except Exception as error:
            answer = self._unexpected(error, route)
        response = self._response(answer)
        self._metrics.http(route, response.status)
        return response

    def _route(self, method: str, path: str) -> tuple[str, Handler | Refusal]:
        if path == conventions.PATH_ORDERS:
            return ("orders_post", self._post_order) if method == "POST" else ("other", _not_allowed("POST"))
        if path.startswith(ORDER_PREFIX):
            return self._orders.get(method) or ("other", _not_allowed("DELETE, PATCH"))
        if path.startswith(BOOK_PREFIX):
            return ("orderbook_get", self._get_orderbook) if method == "GET" else ("other", _not_allowed("GET"))
        return "other", Refusal("unknown_route", "no such path")

    async def _guarded(self, request: web.BaseRequest, route: str, handler: Handler, started_s: float) -> Answer:
        """The checks that come before any handler."""
        key = self._admit(request, Permission.READ if route == "orderbook_get" else Permission.TRADE)
        if isinstance(key, Refusal):
            return self._at_the_door(route, key)
        body: bytes | Refusal = b""
        if route in WITH_BODY:
            waits = not request.content.is_eof()
            body = await self._awaited_body(request, key) if waits else await read_body(request)
            started_s = self._clock() if waits else started_s
        if isinstance(body, Refusal):
            return self._at_the_door(route, body)
        return await self._in_flight(route, handler, Call(request, key, body, started_s))

    async def _in_flight(self, route: str, handler: Handler, call: Call) -> Answer:
        """The handler within the bound, and the outages that may come out of it."""
        if not self._state.enter():
            return self._at_the_door(route, outage("gateway_busy"))
        try:
            return await handler(call)
        except LinkDown:
            return outage("core_unavailable")
        except LinkBusy:
            return outage("gateway_busy")
        except OutcomeUnknown:
            return outage("core_unavailable" if route == "orderbook_get" else "outcome_unknown")
        finally:
            self._state.leave()

    async def _awaited_body(self, request: web.BaseRequest, key: KeyEntry) -> bytes | Refusal:
        if not self._state.expect_body(key.id):
            message = f"at most {MAX_BODIES_PER_KEY} requests of a key may have their bodies on the way"
            return Refusal("rate_limited", message, retry_after_s=RETRY_AFTER_S)
        try:
            return await read_body(request)
        finally:
            self._state.body_done(key.id)

    def _admit(self, request: web.BaseRequest, permission: Permission) -> KeyEntry | Refusal:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return Refusal("missing_key", "send the header Authorization: Bearer TOKEN")
        key = self._state.keys.find(token.strip())
        if key is None:
            return Refusal("wrong_key", "no such key")
        if permission not in key.permissions:
            return Refusal("permission_denied", f"this key has no permission to {permission}")
        wait_s = self._state.limits.take(key, self._state.clock())
        if wait_s:
            return Refusal("rate_limited", f"at most {key.rate_per_s} requests per second", retry_after_s=max(1, math.ceil(wait_s)))
        return key

    def _at_the_door(self, route: str, refusal: Refusal) -> Refusal:
        """Counted here because the order never became the service's; what the service takes, the service counts."""
        if route == "orders_post":
            self._metrics.rejected(refusal.code)
        return refusal

    async def _post_order(self, call: Call) -> Answer:
        order = parse.parse_new_order(call.body, self._market)
        if isinstance(order, Refusal):
            return self._at_the_door("orders_post", order)
        reply = await self._service.new_order(call.key.firm, order, call.started_s)
        if is_refusal(reply.reason):
            return from_core(reply, Asked.ORDER, order.listing)
        return 201, render.order_body(reply, order.listing, order.cl_ord_id)

    async def _delete_order(self, call: Call) -> Answer:
        order_id = parse.parse_order_id(call.request.path[len(ORDER_PREFIX) :])
        if isinstance(order_id, Refusal):
            return order_id
        reply = await self._service.cancel(call.key.firm, Cancel(order_id))
        return from_core(reply, Asked.CANCEL) if is_refusal(reply.reason) else (200, render.cancel_body(reply))

    async def _patch_order(self, call: Call) -> Answer:
        order_id = parse.parse_order_id(call.request.path[len(ORDER_PREFIX) :])
        if isinstance(order_id, Refusal):
            return order_id
        change = parse.parse_patch(order_id, call.body, self._market)
        if isinstance(change, Refusal):
            return change
        if isinstance(change, Amend):
            reply = await self._service.amend(call.key.firm, change)
            asked, listing = Asked.AMEND, change.listing
        else:
            reply = await self._service.reduce(call.key.firm, change)
            asked, listing = Asked.REDUCE, None
        if is_refusal(reply.reason):
            return from_core(reply, asked, listing, self._market)
        return 200, render.patch_body(reply, listing)

    async def _get_orderbook(self, call: Call) -> Answer:
        query = parse.parse_depth(call.request.path[len(BOOK_PREFIX) :], call.request.query, self._market)
        if isinstance(query, Refusal):
            return query
        return 200, render.depth_body(await self._service.depth(query), query.listing)

    def _admin(self, path: str) -> web.Response:
        if path == conventions.PATH_METRICS:
            response = web.Response(body=self._metrics.exposition(), headers={**self._headers, "Content-Type": EXPOSITION})
        else:
            status, body = self._state.health() if path == conventions.PATH_HEALTH else self._state.readiness()
            response = web.Response(body=render.json_body(body), status=status, headers=self._headers)
        self._metrics.http(conventions.OPERATIONS_ROUTE, response.status)
        return response

    def _unexpected(self, error: Exception, route: str) -> Refusal:
        """A bug: the member gets an id to quote, the log gets the trace."""
        correlation_id = secrets.token_hex(8)
        trace = "".join(traceback.format_exception(error, limit=-8))
        self._log.error("request.failed", correlation_id=correlation_id, route=route, trace=trace)
        return Refusal("internal_error", "unexpected error; quote the correlation_id", correlation_id=correlation_id)

    def _malformed(self, status: int) -> web.Response:
        """For what aiohttp itself refuses: bytes that are no HTTP request, oversized heads."""
        response = self._response(Refusal("bad_request" if status < 500 else "internal_error", "this is no request the server understands"))
        response.force_close()
        self._metrics.http("other", response.status)
        return response

    def _response(self, answer: Answer) -> web.Response:
        if isinstance(answer, Refusal):
            response = self._refusal(answer)
        else:
            response = web.Response(body=answer[1], status=answer[0], headers=self._headers)
        if self._state.draining:
            response.force_close()
        return response

    def _refusal(self, refusal: Refusal) -> web.Response:
        response = web.Response(body=render.refusal_body(refusal), status=ERROR_CODES[refusal.code], headers=self._headers)
        if refusal.retry_after_s is not None:
            response.headers["Retry-After"] = str(refusal.retry_after_s)
        if refusal.allow is not None:
            response.headers["Allow"] = refusal.allow
        if refusal.code in CLOSING:
            response.force_close()
        return response


def _not_allowed(allow: str) -> Refusal:
    return Refusal("method_not_allowed", f"this path takes {allow}", allow=allow)
