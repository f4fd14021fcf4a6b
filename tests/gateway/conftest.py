import contextlib

import aiohttp
import pytest
from venue_parts import Keys, LogLines, running_core, running_gateway


@pytest.fixture
def keys(tmp_path):
    return Keys(tmp_path / "keys.yaml")


@pytest.fixture
def log():
    return LogLines()


@pytest.fixture
async def venue(tmp_path, keys, log):
    """A gateway over a real core. `venue.call(...)` -> (status, body, headers)."""
    async with contextlib.AsyncExitStack() as stack:
        core, port = stack.enter_context(running_core(tmp_path / "log"))
        gateway = await stack.enter_async_context(running_gateway(port, keys.path, log))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Venue(core, gateway, session, keys)


class Venue:
    def __init__(self, core, gateway, session, keys):
        self.core, self.gateway, self.session, self.keys = core, gateway, session, keys

    async def call(self, method, path, json=None, key="desk", data=None, headers=None):
        headers = dict(headers or {})
        if key is not None:
            headers.setdefault("Authorization", f"Bearer {self.keys.token.get(key, key)}")
        url = f"http://127.0.0.1:{self.gateway.http_port}{path}"
        async with self.session.request(method, url, json=json, data=data, headers=headers) as response:
            body = await response.json() if response.content_type == "application/json" else await response.text()
            return response.status, body, response.headers

    async def order(self, key="desk", **fields):
        order = {"instrument": "AAPL", "side": "buy", "type": "limit", "price": 150.10, "quantity": 100, **fields}
        return await self.call("POST", "/api/v1/orders", {name: value for name, value in order.items() if value is not None}, key)


@pytest.fixture
def venue_type():
    """For tests that start their own core and gateway."""
    return Venue
