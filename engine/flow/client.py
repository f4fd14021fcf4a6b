"""The REST calls of a flow, over a keep-alive pool. Every call returns an Answer; a dead venue is an answer too."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp

from engine import conventions
from engine.config import VenueError
from engine.flow.model import Add, AmendOf, FlowSettings

NOT_REACHABLE = 6


@dataclass(frozen=True, slots=True)
class Answer:
    """`status` 0 when no answer came. `wrong` names what is wrong with it; None for an answer that the venue owes its members."""

    status: int
    body: dict[str, Any]
    version: str = ""
    gateway: str = ""
    wrong: str | None = None
    retry_after_s: float = 0.0


class VenueClient:
    """Use as `async with`. The per-request bound covers the wait for a pooled connection."""

    def __init__(self, settings: FlowSettings) -> None:
        self._base = settings.url.rstrip("/")
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        settings = self._settings
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=settings.max_in_flight),
            timeout=aiohttp.ClientTimeout(total=settings.timeout_s),
            headers={"Authorization": f"Bearer {settings.token}", "Content-Type": "application/json"},
            auto_decompress=False,
        )
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._session is not None
        await self._session.close()

    async def probe(self, symbol: str) -> None:
        """One look at a book before the flow. Raises VenueError: nobody there (exit 6), key refused, symbol not traded."""
        answer = await self.book(symbol)
        if answer.status == 0:
            raise VenueError(f"the venue at {self._base} does not answer ({answer.wrong})", "start one: opsctl up", NOT_REACHABLE)
        if answer.status in (401, 403):
            raise VenueError("the venue refuses this API key", hint=f"set $EXCHANGE_API_KEY or --key-file; it said: {_message(answer)}")
        if answer.status == 404:
            raise VenueError(f"the venue at {self._base} does not trade {symbol}", hint="give both the same --instruments file")

    async def add(self, order: Add) -> Answer:
        answer = await self._call("POST", conventions.PATH_ORDERS, order_json(order))
        return _checked(answer, 201, "order_id")

    async def cancel(self, order_id: int) -> Answer:
        return _checked(await self._call("DELETE", f"{conventions.PATH_ORDERS}/{order_id}"), 200, "remaining_qty")

    async def reduce(self, order_id: int, qty: int) -> Answer:
        body = f'{{"quantity":{qty}}}'.encode()
        return _checked(await self._call("PATCH", f"{conventions.PATH_ORDERS}/{order_id}", body), 200, "remaining_quantity")

    async def amend(self, order_id: int, change: AmendOf) -> Answer:
        return _checked(await self._call("PATCH", f"{conventions.PATH_ORDERS}/{order_id}", amend_json(change)), 200, "remaining_quantity")

    async def book(self, symbol: str, depth: int = 10) -> Answer:
        return _checked(await self._call("GET", f"{conventions.PATH_ORDERBOOK}/{symbol}?depth={depth}"), 200, "bids")

    async def _call(self, method: str, path: str, body: bytes | None = None) -> Answer:
        assert self._session is not None
        try:
            async with self._session.request(method, self._base + path, data=body, allow_redirects=False) as response:
                return _answer(response, await response.read())
        except TimeoutError:
            return Answer(0, {}, wrong="timeout")
        except (aiohttp.ClientError, OSError, ValueError):
            return Answer(0, {}, wrong="connection")


def order_json(order: Add) -> bytes:
    """The price goes out as a JSON number written from its own digits."""
    fields = [f'"instrument":{json.dumps(order.symbol)},"side":"{order.side}","type":"{order.ord_type}","quantity":{order.qty}']
    if order.price is not None:
        fields.append(f'"price":{order.price}')
    if order.stop_price is not None:
        fields.append(f'"stop_price":{order.stop_price}')
    if order.time_in_force is not None:
        fields.append(f'"time_in_force":"{order.time_in_force}"')
    if order.client_order_id is not None:
        fields.append(f'"client_order_id":{json.dumps(order.client_order_id)}')
    return f"{{{','.join(fields)}}}".encode()


def amend_json(change: AmendOf) -> bytes:
    """Names the instrument, so that the price reads right in a venue of different ticks."""
    fields = [f'"instrument":{json.dumps(change.symbol)}']
    if change.price is not None:
        fields.append(f'"price":{change.price}')
    if change.order_qty is not None:
        fields.append(f'"order_quantity":{change.order_qty}')
    return f"{{{','.join(fields)}}}".encode()


def _answer(response: aiohttp.ClientResponse, raw: bytes) -> Answer:
    version = response.headers.get(conventions.HEADER_VERSION, "")
    gateway = response.headers.get(conventions.HEADER_GATEWAY, "")
    try:
        body = json.loads(raw, parse_float=str)  # prices stay texts: exact
    except ValueError:
        body = None
    wrong = "http_5xx" if response.status >= 500 else None if isinstance(body, dict) else "invalid_body"
    retry_after = response.headers.get("Retry-After", "")
    retry_after_s = float(retry_after) if retry_after.isdigit() else 0.0
    return Answer(response.status, body if isinstance(body, dict) else {}, version, gateway, wrong, retry_after_s)


def _checked(answer: Answer, success: int, needs: str) -> Answer:
    """A success without its field, or any answer outside the interface's shape, is a wrong answer."""
    fine = needs in answer.body if answer.status == success else isinstance(answer.body.get("error"), dict)
    if answer.wrong is None and not fine:
        return Answer(answer.status, answer.body, answer.version, answer.gateway, "invalid_body")
    return answer


def _message(answer: Answer) -> str:
    return str(answer.body.get("error", {}).get("message", answer.status))
