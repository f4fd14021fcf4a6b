"""The HAProxy adapter against a real HAProxy and small HTTP and TCP servers."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import threading
from fractions import Fraction

import pytest

from engine.gateway.errors import ERROR_CODES
from ops.adapters.haproxy_socket import RuntimeSocket
from ops.conventions import Pool
from ops.errors import Refused, TrafficUnavailable
from ops.ports import Split
from ops.render import ERROR_ANSWERS, error_file
from venue.helpers import HAPROXY, ONE_PER_MILLE, ONE_PERCENT, eventually, splitter

pytestmark = pytest.mark.e2e
BLUE, GREEN = Pool.BLUE, Pool.GREEN


def to_canary(share: Fraction) -> Split:
    return Split(BLUE, share)


def test_the_file_passes_haproxys_own_check() -> None:
    with splitter() as s:
        argv = [str(HAPROXY), "-c", "-f", str(s.folder / "haproxy.cfg")]
        checked = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
        assert checked.returncode == 0, checked.stderr
        assert "WARNING" not in checked.stderr.upper(), checked.stderr


def test_shares_are_exact_from_one_per_mille_up_and_back() -> None:
    with splitter() as s:
        for share, rounds in ((ONE_PERCENT, 10), (ONE_PER_MILLE, 3), (Fraction(1, 4), 50), (Fraction(1), 50), (Fraction(0), 50)):
            s.traffic.shift(to_canary(share))
            assert s.traffic.read().share(GREEN) == share
            one_round = share.denominator
            first = s.of(GREEN, s.ask(one_round))
            assert abs(first - share * one_round) <= 1, "the round in which a weight changes may be one off"
            counts = s.ask(one_round * rounds)
            assert s.of(GREEN, counts) == share * one_round * rounds, (share, counts)
            assert sum(counts.values()) == one_round * rounds


def test_what_is_read_matches_what_was_sent() -> None:
    with splitter() as s:
        s.traffic.shift(to_canary(Fraction(1, 4)))
        s.ask(100)
        s.ask(8, "/api/v1/boom")
        reading = s.traffic.read()
        blue, green = reading.pools[BLUE], reading.pools[GREEN]
        assert (blue.requests, green.requests) == (81, 27)
        assert (blue.errors, green.errors) == (6, 2)
        assert (blue.servers_up, green.servers_up) == (4, 1)
        assert green.weight == green.asked_weight > 0


def test_a_restarted_haproxy_has_the_weights_applied_last_and_a_new_start_time() -> None:
    with splitter() as s:
        s.traffic.shift(to_canary(ONE_PERCENT))
        before = s.traffic.read()
        s.kill("haproxy")
        with pytest.raises(TrafficUnavailable):
            s.traffic.read()
        s.file.socket.unlink()
        s.start_haproxy()
        after = s.traffic.read()
        assert after.share(GREEN) == ONE_PERCENT
        assert after.started_at_s != before.started_at_s
        assert s.of(GREEN, s.ask(300)) == 3


def test_a_rollback_while_haproxy_is_dead_holds_when_it_comes_back() -> None:
    with splitter() as s:
        s.traffic.shift(to_canary(Fraction(1, 2)))
        s.kill("haproxy")
        with pytest.raises(TrafficUnavailable):
            s.traffic.shift(to_canary(Fraction(0)))
        s.file.socket.unlink()
        s.start_haproxy()
        assert s.traffic.read().share(GREEN) == 0
        assert s.of(GREEN, s.ask(50)) == 0


def test_a_disk_that_cannot_be_written_does_not_stop_a_rollback_and_is_reported() -> None:
    with splitter() as s:
        s.traffic.shift(to_canary(Fraction(1, 2)))
        config = s.folder / "haproxy.cfg"
        config.unlink()
        config.mkdir()  # a rename onto a folder fails, for root too
        with pytest.raises(TrafficUnavailable, match="cannot be written"):
            s.traffic.shift(to_canary(Fraction(0)))
        assert s.traffic.read().share(GREEN) == 0


def test_a_share_that_weights_cannot_give_changes_nothing() -> None:
    with splitter(stable=2) as s:
        s.traffic.shift(to_canary(ONE_PERCENT))
        with pytest.raises(Refused, match=r"0\.1%"):
            s.traffic.shift(to_canary(ONE_PER_MILLE))
        with pytest.raises(Refused):
            s.traffic.check_share(to_canary(ONE_PER_MILLE), 2, 1)
        assert s.traffic.read().share(GREEN) == ONE_PERCENT


def test_every_prefix_of_a_change_keeps_the_share_at_or_below_the_larger_one() -> None:
    shares = (Fraction(0), ONE_PER_MILLE, ONE_PERCENT, Fraction(1, 4), Fraction(1, 2), Fraction(1))
    with splitter() as s:
        for old in shares:
            for new in shares:
                present, wanted = s.traffic._wanted(to_canary(old)), s.traffic._wanted(to_canary(new))
                state = {(backend, name): weight for name, weight in present.items() for backend in ("http", "binary")}
                for command in s.traffic._commands(to_canary(new), present, wanted):
                    _, _, place, _, weight = command.split()
                    backend, _, name = place.partition("/")
                    state[backend, name] = int(weight)
                    for each in ("http", "binary"):
                        total = sum(w for (b, _), w in state.items() if b == each)
                        canary = sum(w for (b, n), w in state.items() if b == each and n in s.names(GREEN))
                        assert total > 0
                        assert Fraction(canary, total) <= max(old, new), (old, new, command)


def test_no_request_reaches_the_canary_once_a_rollback_returned() -> None:
    with splitter() as s:
        s.traffic.shift(to_canary(Fraction(1, 2)))
        stop = threading.Event()
        errors: list[BaseException] = []

        def load() -> None:
            try:
                while not stop.is_set():
                    s.ask(20)
            except BaseException as error:
                errors.append(error)

        loader = threading.Thread(target=load)
        loader.start()
        try:
            for _ in range(10):
                s.traffic.shift(to_canary(Fraction(1, 2)))
                s.traffic.shift(to_canary(Fraction(0)))
                assert s.of(GREEN, s.ask(40)) == 0
        finally:
            stop.set()
            loader.join(20)
        assert not errors


def test_an_unknown_server_is_an_error_even_among_good_commands() -> None:
    with splitter() as s:
        runtime = RuntimeSocket(s.file.socket)
        with pytest.raises(TrafficUnavailable, match="No such server"):
            runtime.run(["set server http/gateway-1 weight 3", "set server http/nobody weight 3", "set server http/gateway-2 weight 3"])
        with pytest.raises(TrafficUnavailable, match="between 0 and 256"):
            runtime.run(["set server http/gateway-1 weight 257"])
        with pytest.raises(TrafficUnavailable, match="no table"):
            runtime.table("show nonsense")


def test_a_socket_that_accepts_and_says_nothing_is_given_up_after_its_bound() -> None:
    with splitter() as s, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.bind(str(s.folder / "mute.sock"))
        silent.listen()
        with pytest.raises(TrafficUnavailable, match="timed out"):
            RuntimeSocket(s.folder / "mute.sock", timeout_s=0.2).ask("show info")


def test_close_sessions_ends_the_pools_tcp_sessions_and_no_other() -> None:
    with splitter() as s:
        s.traffic.shift(to_canary(Fraction(1, 2)))
        clients = [socket.create_connection(("127.0.0.1", s.file.binary_port), timeout=5) for _ in range(10)]
        try:
            where = [client.makefile("rb").readline().decode().strip() for client in clients]
            on_canary = sum(name in s.names(GREEN) for name in where)
            assert on_canary >= 4
            s.traffic.shift(to_canary(Fraction(0)))
            assert s.traffic.read().pools[GREEN].sessions_open == on_canary, "weight 0 alone leaves sessions where they are"
            assert s.traffic.close_sessions(GREEN) == on_canary
            eventually(lambda: s.traffic.read().pools[GREEN].sessions_open == 0, "no session on the canary")
            for client, name in zip(clients, where, strict=True):
                if name in s.names(GREEN):
                    assert client.recv(10) == b""
                else:
                    client.sendall(b"still here")
                    assert client.recv(10) == b"still here"
        finally:
            for client in clients:
                client.close()


def test_a_killed_canary_costs_users_nothing_but_requests_in_flight() -> None:
    with splitter() as s:
        s.traffic.shift(to_canary(Fraction(1, 2)))
        s.ask(20)
        s.kill(s.canary_names[0])
        counts = s.ask(200, keep_alive=False)
        assert s.of(BLUE, counts) == 200, counts
        eventually(lambda: s.traffic.read().pools[GREEN].servers_up == 0, "HAProxy sees the dead canary")
        green = s.traffic.read().pools[GREEN]
        assert (green.weight, green.asked_weight > 0) == (0, True)


def test_without_any_gateway_users_get_the_apis_own_error_shape() -> None:
    with splitter(stable=1, canary=1) as s:
        for name in list(s.children):
            if name != "haproxy":
                s.kill(name)
        eventually(lambda: not s.up(), "HAProxy sees that nobody is left")
        connection = http.client.HTTPConnection("127.0.0.1", s.file.http_port, timeout=5)
        connection.request("GET", "/api/v1/orderbook/AAPL")
        response = connection.getresponse()
        body = json.loads(response.read())
        connection.close()
        assert (response.status, response.getheader("Retry-After")) == (503, "1")
        assert set(body["error"]) == {"code", "message"}


@pytest.mark.parametrize("answer", ERROR_ANSWERS, ids=lambda answer: str(answer.status))
def test_each_error_answer_is_whole_http_with_a_published_code(answer: object) -> None:
    head, _, body = error_file(answer).partition("\r\n\r\n")  # type: ignore[arg-type]
    assert head.startswith(f"HTTP/1.1 {answer.status} ")  # type: ignore[attr-defined]
    assert "\n" not in head.replace("\r\n", "")
    assert json.loads(body)["error"]["code"] in ERROR_CODES
    assert ("Retry-After: 1" in head) == (answer.status == 503)  # type: ignore[attr-defined]


def test_metrics_of_the_inside_are_not_shown_on_the_public_port() -> None:
    with splitter() as s:
        assert s.ask(1, "/metrics") == {"404": 1}
