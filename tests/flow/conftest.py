import contextlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "gateway"))

from venue_parts import Keys, running_core, running_gateway


@pytest.fixture
def keys(tmp_path):
    return Keys(tmp_path / "keys.yaml")


@pytest.fixture
async def gateway(tmp_path, keys):
    async with contextlib.AsyncExitStack() as stack:
        _, port = stack.enter_context(running_core(tmp_path / "log"))
        yield await stack.enter_async_context(running_gateway(port, keys.path))


@pytest.fixture
def url(gateway):
    return f"http://127.0.0.1:{gateway.http_port}"
