"""The generated flow, the open loop, CSV input, and what `exchange flow` says and returns."""

import asyncio
import dataclasses
import hashlib
import itertools
import json
import subprocess
import sys
import threading
from collections import Counter
from random import Random

import pytest
from aiohttp import web
from venue_parts import INSTRUMENTS, free_port

from engine import __version__
from engine.config import VenueError
from engine.flow import MIXES, FlowSettings, generate, run, run_async
from engine.flow.client import amend_json, order_json
from engine.flow.csvfile import load_csv
from engine.flow.model import Add, AmendOf, CancelOf
from engine.flow.tally import LatencyBuckets
from engine.gateway.model import Amend, Refusal, listings
from engine.gateway.parse import parse_new_order, parse_patch

MARKET = listings(INSTRUMENTS)
PLAIN_FLOW_7 = "49ab9297059530dad7851c038e2925bff62115e8942f88a7a0c1e206efd3d3f1"


def intents(seed, count, mix="plain"):
    return list(itertools.islice(generate(MARKET, Random(seed), mix), count))


def test_one_seed_is_one_flow_and_another_seed_is_another():
    assert intents(7, 2000) == intents(7, 2000)
    assert intents(7, 2000) != intents(8, 2000)


@pytest.mark.parametrize("mix", MIXES)
def test_every_mix_depends_on_its_seed_only(mix):
    assert intents(7, 2000, mix) == intents(7, 2000, mix)
    assert intents(7, 2000, mix) != intents(8, 2000, mix)


def test_the_plain_flow_is_what_it_was_before_there_was_a_mix():
    """Checks of releases compare flows of one seed over time."""
    orders = [(type(one).__name__, *(str(value) for value in dataclasses.astuple(one)[:8])) for one in intents(7, 3000)]
    assert hashlib.sha256(repr(orders).encode()).hexdigest() == PLAIN_FLOW_7


def test_the_full_mix_has_every_type_in_small_shares():
    flow = intents(7, 30_000, "full")
    adds = [one for one in flow if isinstance(one, Add)]
    types = Counter(add.ord_type for add in adds)
    assert types.keys() == {"limit", "market", "stop", "stop_limit"}
    assert 0.005 < (types["stop"] + types["stop_limit"]) / len(adds) < 0.05
    assert 0.01 < sum(add.time_in_force == "gtc" for add in adds) / len(adds) < 0.10
    assert 0.01 < sum(isinstance(one, AmendOf) for one in flow) / len(flow) < 0.06
    assert 0.40 < sum(isinstance(one, CancelOf) for one in flow) / len(flow) < 0.50


def test_every_order_of_the_full_mix_passes_the_gateways_parser_and_waits_behind_the_market():
    for one in intents(5, 5000, "full"):
        if isinstance(one, Add):
            assert not isinstance(parse_new_order(order_json(one), MARKET), Refusal)
        if isinstance(one, AmendOf):
            assert isinstance(parse_patch(1, amend_json(one), MARKET), Amend)


def test_amendments_name_a_live_add_of_the_same_instrument_and_a_stop_keeps_its_prices():
    flow, gone = intents(3, 20_000, "full"), set()
    for one in flow:
        if isinstance(one, CancelOf):
            gone.add(one.index)
        if isinstance(one, AmendOf):
            target = flow[one.index]
            assert isinstance(target, Add)
            assert (target.symbol, target.rests, one.index in gone) == (one.symbol, True, False)
            assert one.price is not None or one.order_qty is not None
            assert one.price is None or target.stop_price is None


def test_the_mix_is_that_of_a_real_feed():
    flow = intents(7, 20_000)
    kinds = Counter(type(intent) for intent in flow)
    assert 0.40 < kinds[CancelOf] / len(flow) < 0.50
    adds = [intent for intent in flow if isinstance(intent, Add)]
    assert 0.03 < sum(not add.rests for add in adds) / len(flow) < 0.15
    assert {add.ord_type for add in adds} == {"limit", "market"}
    assert len({add.symbol for add in adds}) == len(MARKET)


def test_cancels_name_an_earlier_resting_add_of_the_same_instrument_once():
    flow = intents(3, 20_000)
    named = [intent for intent in flow if isinstance(intent, CancelOf)]
    assert len({cancel.index for cancel in named}) == len(named)
    for place, intent in enumerate(flow):
        if isinstance(intent, CancelOf):
            target = flow[intent.index]
            assert intent.index < place
            assert isinstance(target, Add)
            assert (target.rests, target.symbol) == (True, intent.symbol)


async def test_a_flow_over_a_real_venue_has_no_wrong_answer(url, keys):
    settings = FlowSettings(url, keys.token["desk"], rate_per_s=2000, count=600)
    result = await run_async(settings, generate(MARKET, Random(7)), stop=threading.Event())
    assert (result.requests, result.wrong_answers, sum(result.by_status.values())) == (600, 0, 600)
    assert result.by_version == {__version__: 600}
    assert result.by_gateway == {"gateway-t": 600}
    assert result.by_status.keys() <= {200, 201, 404, 409}
    assert result.orders_acked == result.by_status[201]
    assert 0 < result.latency_ms_p50 <= result.latency_ms_p99 <= result.latency_ms_max
    json.dumps(result.as_dict())


async def test_a_full_flow_over_a_real_venue_has_no_wrong_answer(url, keys):
    settings = FlowSettings(url, keys.token["desk"], rate_per_s=2000, count=3000)
    result = await run_async(settings, generate(MARKET, Random(7), "full"), stop=threading.Event())
    assert (result.requests, result.wrong_answers) == (3000, 0)
    assert result.by_status.keys() <= {200, 201, 404, 409, 422}
    assert result.by_status[200] + result.by_status[201] > 0.75 * result.requests, "the rest is too late, because it was filled"


async def test_run_blocks_and_returns_the_same_from_any_thread(url, keys):
    settings = FlowSettings(url, keys.token["desk"], rate_per_s=200, duration_s=1.2)
    seen = []
    result = await asyncio.to_thread(run, settings, generate(MARKET, Random(7)), progress=seen.append)
    assert result.requests == 240
    assert seen[0].requests <= 240


async def test_stop_ends_a_flow_early(url, keys):
    stop = threading.Event()
    settings = FlowSettings(url, keys.token["desk"], rate_per_s=100, duration_s=600)
    running = asyncio.create_task(run_async(settings, generate(MARKET, Random(7)), stop=stop))
    stop.set()
    assert (await running).requests <= 100


async def test_nobody_there_is_exit_6_with_the_way_out():
    settings = FlowSettings(f"http://127.0.0.1:{free_port()}", "t", count=1)
    with pytest.raises(VenueError) as error:
        await run_async(settings, generate(MARKET, Random(7)), stop=threading.Event())
    assert (error.value.exit_code, "opsctl up" in error.value.hint) == (6, True)


async def test_a_refused_key_is_said_before_anything_is_sent(url):
    with pytest.raises(VenueError, match="refuses this API key"):
        await run_async(FlowSettings(url, "xk_guess", count=5), generate(MARKET, Random(7)), stop=threading.Event())


@pytest.fixture
async def strange(request):
    """A server that answers as the test says; its first answer, to the probe, is an empty book."""
    asked = 0

    async def handler(http_request):
        nonlocal asked
        asked += 1
        if asked == 1:
            return web.json_response({"bids": [], "asks": []})
        return await request.param(http_request)

    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def _error_500(_):
    return web.json_response({"error": {"code": "internal_error"}}, status=500, headers={"X-Version": "9.9.9"})


async def _no_json(_):
    return web.Response(text="<html>", status=201)


async def _other_json(_):
    return web.json_response({"hello": 1}, status=201)


async def _hang_up(request):
    request.transport.abort()
    return web.Response()


async def _stall(_):
    await asyncio.sleep(0.5)
    return web.Response()


@pytest.mark.parametrize(
    ("strange", "kind"),
    [(_error_500, "http_5xx"), (_no_json, "invalid_body"), (_other_json, "invalid_body"), (_hang_up, "connection"), (_stall, "timeout")],
    indirect=["strange"],
)
async def test_every_kind_of_wrong_answer_is_counted_as_such(strange, kind):
    settings = FlowSettings(strange, "t", rate_per_s=100, count=5, timeout_s=0.2)
    adds = [Add("AAPL", "buy", "limit", "150.10", 1)] * 5
    result = await run_async(settings, adds, stop=threading.Event())
    assert (result.requests, result.wrong) == (5, {kind: 5})
    if kind == "http_5xx":
        assert (result.by_status, result.wrong_by_version) == ({500: 5}, {"9.9.9": 5})


@pytest.mark.parametrize("strange", [_stall], indirect=True)
async def test_latency_counts_from_the_due_time_of_the_request(strange):
    """One place only: the third request waits for two stalls, and that wait is its latency."""
    settings = FlowSettings(strange, "t", rate_per_s=1000, count=3, max_in_flight=1, timeout_s=0.2)
    result = await run_async(settings, [Add("AAPL", "buy", "limit", "150.10", 1)] * 3, stop=threading.Event())
    assert result.latency_ms_max > 550


def test_quantiles_are_within_one_percent():
    buckets = LatencyBuckets()
    assert buckets.quantile_s(0.99) == 0.0
    for number in range(1, 10_001):
        buckets.add(number / 1000)
    assert buckets.quantile_s(0.5) == pytest.approx(5.0, rel=0.011)
    assert buckets.quantile_s(0.99) == pytest.approx(9.9, rel=0.011)
    assert buckets.max_s == 10.0


HEADER = "instrument,side,type,price,quantity,time_in_force,client_order_id\n"


def test_csv_rows_may_be_stops(tmp_path):
    path = tmp_path / "o.csv"
    path.write_text(
        "instrument,side,type,price,stop_price,quantity,time_in_force\nAAPL,buy,stop,,150.2,5,gtc\nAAPL,sell,stop_limit,150,150.1,5,\n"
    )
    assert load_csv(path, MARKET) == (
        Add("AAPL", "buy", "stop", None, 5, "gtc", stop_price="150.20"),
        Add("AAPL", "sell", "stop_limit", "150.00", 5, stop_price="150.10"),
    )


def test_csv_rows_become_orders(tmp_path):
    path = tmp_path / "o.csv"
    path.write_text(HEADER + "AAPL,buy,limit,150.1,100,,c-1\nMSFT,sell,market,,5,ioc,\n")
    assert load_csv(path, MARKET) == (
        Add("AAPL", "buy", "limit", "150.10", 100, None, "c-1"),
        Add("MSFT", "sell", "market", None, 5, "ioc", None),
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", ":1: instrument: column missing"),
        ("instrument,side,type,price\n", ":1: quantity: column missing"),
        (HEADER.replace("side", "side,colour"), ":1: colour: unknown column"),
        (HEADER, "no orders"),
        (HEADER + "AAPL,buy,limit,150.105,100,,\n", ":2: price:"),
        (HEADER + "AAPL,buy,limit,150.10,1,,\nAAPL,buy,limit,,1,,\n", ":3: price:"),
        (HEADER + "AAPL,buy,limit,150.10,1.5,,\n", ":2: quantity:"),
        (HEADER + "AAPL,buy,limit,150.10,,,\n", ":2: quantity:"),
        (HEADER + "AAPL,hold,limit,150.10,1,,\n", ":2: side:"),
        (HEADER + "NOPE,buy,limit,150.10,1,,\n", ":2: instrument:"),
        (HEADER + "AAPL,buy,limit,150.10,1,gtd,\n", ":2: time_in_force:"),
        (HEADER + "AAPL,buy,stop,,1,,\n", ":2: stop_price:"),
        (HEADER.replace("price", "price,stop_price") + "AAPL,buy,limit,150.10,150.10,1,,\n", ":2: stop_price:"),
        (HEADER + "AAPL,buy,limit,150.10,1,,a b\n", ":2: client_order_id:"),
        (HEADER + "AAPL,buy,limit,150.10,1,,a,b\n", ":2: more cells"),
        (HEADER + 'AAPL,"buy,limit\n', "not valid CSV"),
    ],
)
def test_a_bad_row_names_file_line_and_field(tmp_path, text, says):
    path = tmp_path / "o.csv"
    path.write_text(text)
    with pytest.raises(VenueError) as error:
        load_csv(path, MARKET)
    assert error.value.message.startswith(str(path))
    assert says in error.value.message


def exchange_flow(*arguments, token="t"):
    command = [sys.executable, "-m", "engine.cli", "flow", *map(str, arguments)]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=60, env={"EXCHANGE_API_KEY": token, "PATH": "/usr/bin"}
    )


async def test_the_command_prints_json_and_sends_csv_rows_in_order(url, keys, tmp_path):
    path = tmp_path / "o.csv"
    path.write_text(HEADER + "AAPL,buy,limit,150.10,100,,c-1\nAAPL,sell,market,,30,,c-2\n")
    done = await asyncio.to_thread(exchange_flow, "--url", url, "--csv", path, "--output", "json", token=keys.token["desk"])
    assert done.returncode == 0
    result = json.loads(done.stdout)
    assert (result["orders_acked"], result["by_status"], result["wrong_answers"]) == (2, {"201": 2}, 0)


async def test_the_command_prints_a_table(url, keys):
    done = await asyncio.to_thread(exchange_flow, "--url", url, "--count", 50, "--rate", 500, "--progress", token=keys.token["desk"])
    assert done.returncode == 0
    for word in ("requests", "by status", "wrong answers", "latency", "by version", __version__):
        assert word in done.stdout


@pytest.mark.parametrize(
    ("arguments", "token", "code", "says"),
    [
        (["--output", "xml"], "t", 2, "--output"),
        (["--url", "ftp://x"], "t", 2, "--url"),
        (["--duration", "soon"], "t", 2, "--duration"),
        (["--mix", "wild"], "t", 2, "--mix"),
        (["--mix", "full", "--csv", "x"], "t", 2, "--mix"),
        (["--instrument", "NOPE"], "t", 2, "--instrument"),
        (["--orderbook", "x"], "t", 2, "--orderbook"),
        (["--csv", "/nonexistent.csv"], "t", 2, "/nonexistent.csv"),
        (["--key-file", "/nonexistent"], "t", 2, "key file"),
        ([], "", 2, "EXCHANGE_API_KEY"),
        (["--lobster", "/nonexistent_message_10.csv"], "t", 2, "cannot be read"),
        (["--lobster", "/nonexistent.csv"], "t", 2, "--orderbook"),
    ],
)
def test_a_users_mistake_is_said_without_a_traceback(arguments, token, code, says):
    done = exchange_flow("--url", f"http://127.0.0.1:{free_port()}", *arguments, token=token)
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_the_key_does_not_show_in_the_settings_repr():
    assert "xk_secret" not in repr(dataclasses.replace(FlowSettings("http://x", "xk_secret")))
