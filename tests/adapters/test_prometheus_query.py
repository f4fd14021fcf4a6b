"""Asking a Prometheus anything: right series from right answers, in pieces when they are long; a reason for every other answer."""

from __future__ import annotations

import json
import math
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.adapters import prometheus_query as module
from ops.adapters.clock import SystemClock
from ops.adapters.fakes_queries import FakeQueries
from ops.adapters.prometheus_query import PrometheusQueries
from ops.errors import MetricsUnavailable, UsageError
from ops.ports import Queries, Series

AT_S = 1_800_000_000.0
WAIT_S = 60.0


class StandIn:
    """Answers like a Prometheus: instant with `rows`, a range with one series that counts up; `lie` replaces the next answers' body."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = [{"metric": {"slo": "orders"}, "value": [AT_S, "0.25"]}]
        self.body: bytes | None = None
        self.status = 200
        self.hang = threading.Event()
        self.hangs = False
        self.asked: list[tuple[str, str, dict[str, str]]] = []

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        form = parse_qs(handler.rfile.read(length).decode(), strict_parsing=True) if length else {}
        asked = {name: values[0] for name, values in form.items()}
        self.asked.append((handler.command, urlsplit(handler.path).path, asked))
        if self.hangs:
            self.hang.wait(WAIT_S)
            return
        body = self.body if self.body is not None else json.dumps(self._answer(handler.path, asked)).encode()
        handler.send_response(self.status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _answer(self, path: str, asked: dict[str, str]) -> Any:
        if path == "/api/v1/status/flags":
            return {"status": "success", "data": {"storage.tsdb.retention.time": "45d", "web.enable-lifecycle": "true"}}
        if path == "/api/v1/query":
            return {"status": "success", "data": {"resultType": "vector", "result": self.rows}}
        start_s, end_s, step_s = (float(asked[name]) for name in ("start", "end", "step"))
        count = round((end_s - start_s) / step_s) + 1
        points = [[start_s + index * step_s, str(start_s + index * step_s)] for index in range(count)]
        return {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {"slo": "orders"}, "values": points}]}}

    def says(self, result: Any, status: int = 200) -> None:
        self.body, self.status = json.dumps({"status": "success", "data": {"result": result}}).encode(), status


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    answer = StandIn()
    yield answer
    answer.hang.set()


@pytest.fixture
def url(stand_in: StandIn) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            stand_in(self)

        do_POST = do_GET

        def log_message(self, *_args: Any) -> None:
            """Tests print nothing."""

    class Quiet(ThreadingHTTPServer):
        daemon_threads, block_on_close = True, False

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that gave up is no news."""

    server = Quiet(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join(WAIT_S)
    server.server_close()


@pytest.fixture
def queries(url: str) -> PrometheusQueries:
    return PrometheusQueries(url, SystemClock())


def test_it_is_what_the_port_asks_for(queries: PrometheusQueries) -> None:
    ports: list[Queries] = [queries, FakeQueries()]
    assert len(ports) == 2


def test_an_instant_query_gives_labels_and_values(queries: PrometheusQueries, stand_in: StandIn) -> None:
    assert queries.instant("slo:bad:ratio", AT_S) == (Series({"slo": "orders"}, ((AT_S, 0.25),)),)
    method, path, asked = stand_in.asked[0]
    assert (method, path, asked["query"], float(asked["time"])) == ("POST", "/api/v1/query", "slo:bad:ratio", AT_S)
    assert "timeout" in asked, "the server is to give up as well"


def test_values_that_are_no_numbers_are_handed_on(queries: PrometheusQueries, stand_in: StandIn) -> None:
    stand_in.rows = [{"metric": {"slo": str(n)}, "value": [AT_S, text]} for n, text in enumerate(("NaN", "+Inf", "-Inf"))]
    values = [series.points[0][1] for series in queries.instant("x", AT_S)]
    assert math.isnan(values[0]) and values[1:] == [math.inf, -math.inf]


def test_a_query_longer_than_any_url_is_asked(queries: PrometheusQueries, stand_in: StandIn) -> None:
    query = " or ".join(f'm{{label="{n}"}}' for n in range(20_000))
    assert queries.instant(query, AT_S)
    assert stand_in.asked[0][2]["query"] == query


def test_a_range_is_asked_in_pieces_and_put_together(queries: PrometheusQueries, stand_in: StandIn) -> None:
    end_s = AT_S + 15 * 30_000
    (series,) = queries.range("x", AT_S, end_s, 15.0)
    assert [at_s for at_s, _ in series.points] == [AT_S + 15 * n for n in range(30_001)]
    assert all(at_s == value for at_s, value in series.points)
    spans = [(float(a["start"]), float(a["end"])) for _, _, a in stand_in.asked]
    assert len(spans) == 3 and max((b - a) / 15 for a, b in spans) < module.POINTS_A_QUERY


@pytest.mark.parametrize(("points", "asked"), [(1, 1), (11_000, 1), (11_001, 2), (22_000, 2)])
def test_a_piece_has_as_many_points_as_prometheus_gives(queries: PrometheusQueries, stand_in: StandIn, points: int, asked: int) -> None:
    (series,) = queries.range("x", AT_S, AT_S + points - 1, 1.0)
    assert (len(series.points), len(stand_in.asked)) == (points, asked)


def test_times_of_a_range_are_not_rounded_to_seconds(queries: PrometheusQueries, stand_in: StandIn) -> None:
    queries.range("x", AT_S + 0.25, AT_S + 1.75, 0.5)
    assert stand_in.asked[0][2]["start"].endswith(".250") and stand_in.asked[0][2]["end"].endswith(".750")


def test_a_range_without_an_end_is_refused_before_it_is_asked(queries: PrometheusQueries, stand_in: StandIn) -> None:
    with pytest.raises(MetricsUnavailable, match="shorter time"):
        queries.range("x", AT_S, AT_S + 3e6, 1.0)
    assert stand_in.asked == []


def test_flags_are_read(queries: PrometheusQueries) -> None:
    assert queries.flags()["storage.tsdb.retention.time"] == "45d"


INSTANT_LIES: dict[str, tuple[Any, str]] = {
    "no list": ({"a": 1}, "something else than a vector"),
    "a scalar": ([AT_S, "1"], "something else than a vector"),
    "rows without labels": ([{"value": [AT_S, "1"]}], "something else than a vector"),
    "rows without value": ([{"metric": {}}], "something else than a vector"),
    "a native histogram": ([{"metric": {}, "histogram": [AT_S, {}]}], "something else than a vector"),
    "a word": ([{"metric": {}, "value": [AT_S, "one"]}], "no number"),
    "three parts": ([{"metric": {}, "value": [AT_S, "1", "2"]}], "no number"),
    "another time": ([{"metric": {}, "value": [AT_S - 60, "1"]}], "another time"),
    "twice": ([{"metric": {"a": "b"}, "value": [AT_S, "1"]}] * 2, "one series twice"),
}


@pytest.mark.parametrize("lie", INSTANT_LIES)
def test_an_odd_instant_answer_is_refused(queries: PrometheusQueries, stand_in: StandIn, lie: str) -> None:
    result, said = INSTANT_LIES[lie]
    stand_in.says(result)
    with pytest.raises(MetricsUnavailable, match=said):
        queries.instant("x", AT_S)


RANGE_LIES: dict[str, tuple[Any, str]] = {
    "a vector": ([{"metric": {}, "value": [AT_S, "1"]}], "something else than a matrix"),
    "no list of samples": ([{"metric": {}, "values": {"a": 1}}], "without samples"),
    "backwards": ([{"metric": {}, "values": [[AT_S + 15, "1"], [AT_S, "2"]]}], "out of order"),
    "one time twice": ([{"metric": {}, "values": [[AT_S, "1"], [AT_S, "2"]]}], "out of order"),
    "beyond": ([{"metric": {}, "values": [[AT_S + 3600, "1"]]}], "another time"),
    "twice": ([{"metric": {}, "values": [[AT_S, "1"]]}] * 2, "one series twice"),
}


@pytest.mark.parametrize("lie", RANGE_LIES)
def test_an_odd_range_is_refused(queries: PrometheusQueries, stand_in: StandIn, lie: str) -> None:
    result, said = RANGE_LIES[lie]
    stand_in.says(result)
    with pytest.raises(MetricsUnavailable, match=said):
        queries.range("x", AT_S, AT_S + 60, 15.0)


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[]", b"null", b'{"data": {}}', b'{"data": []}', b'{"data": {"result": null}}'])
@pytest.mark.parametrize("ask", ["instant", "range", "flags"])
def test_a_body_that_is_no_answer_is_refused(queries: PrometheusQueries, stand_in: StandIn, body: bytes, ask: str) -> None:
    stand_in.body = body
    with pytest.raises(MetricsUnavailable, match="Prometheus answered"):
        {"instant": lambda: queries.instant("x", AT_S), "range": lambda: queries.range("x", AT_S, AT_S + 1, 1.0), "flags": queries.flags}[
            ask
        ]()


def test_a_refusal_is_told_in_prometheus_own_words(queries: PrometheusQueries, stand_in: StandIn) -> None:
    stand_in.body, stand_in.status = b'{"status": "error", "errorType": "bad_data", "error": "1:3: parse error: no"}', 400
    with pytest.raises(MetricsUnavailable, match=r"refused the query: 1:3: parse error: no \(HTTP status 400\)"):
        queries.instant("x(", AT_S)
    assert len(stand_in.asked) == 1, "and not asked again"


def test_an_answer_too_large_is_cut_off(queries: PrometheusQueries, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 1_000_000)
    stand_in.body = b" " * 1_200_000
    with pytest.raises(MetricsUnavailable, match="within 1 MB: ask for less"):
        queries.instant("x", AT_S)


def test_a_server_that_hangs_is_given_up(queries: PrometheusQueries, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READ_TIMEOUT_S", 0.3)
    stand_in.hangs = True
    said: list[str] = []

    def ask() -> None:
        try:
            queries.instant("x", AT_S)
        except MetricsUnavailable as error:
            said.append(error.message)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(WAIT_S)
    assert said and "did not answer" in said[0]


def test_nobody_there_is_told() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(MetricsUnavailable, match="cannot be reached"):
        PrometheusQueries(f"http://127.0.0.1:{port}", SystemClock()).flags()


def test_a_password_of_the_address_is_not_told() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(MetricsUnavailable) as caught:
        PrometheusQueries(f"http://user:secret@127.0.0.1:{port}", SystemClock()).flags()
    assert "secret" not in caught.value.message and f"127.0.0.1:{port}" in caught.value.message


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:9090", "file:///etc/passwd", "ftp://host", "http://", "http://host:port", "http://[", "http://h/?q=1"]
)
def test_what_is_no_address_of_a_prometheus_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError, match="not the address"):
        PrometheusQueries(url, SystemClock())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["metric", "value", "values", "a"]), inner, max_size=3),
    max_leaves=12,
)


@given(json_values)
def test_any_answer_is_series_or_a_refusal(answer: Any) -> None:
    class Client:
        def custom_query(self, _query: str, **_options: Any) -> Any:
            return answer

        def custom_query_range(self, *_query: Any, **_options: Any) -> Any:
            return answer

    queries = PrometheusQueries("http://127.0.0.1:9", SystemClock())
    queries._client = Client()
    for ask in (lambda: queries.instant("x", AT_S), lambda: queries.range("x", AT_S, AT_S + 60, 15.0)):
        try:
            found = ask()
        except MetricsUnavailable as error:
            assert error.message
        else:
            assert all(isinstance(series, Series) for series in found)


# --- the real one


@pytest.fixture
def real(tmp_path: Path) -> Iterator[str]:
    """A Prometheus that scrapes itself every second and keeps 45 days."""
    program = shutil.which("prometheus")
    assert program, "prometheus is not installed: tools/setup --tests"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {"job_name": "self", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
    config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [own]}
    (tmp_path / "prometheus.yml").write_text(json.dumps(config), encoding="utf-8")
    command = [
        program,
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        "--storage.tsdb.retention.time=45d",
        f"--web.listen-address=127.0.0.1:{port}",
        "--query.max-samples=50000",
    ]
    with (tmp_path / "log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(WAIT_S)


@pytest.mark.e2e
def test_a_real_prometheus_is_asked(real: str, eventually: Callable[..., Any]) -> None:
    clock = SystemClock()
    queries = PrometheusQueries(real, clock)

    def scraped() -> Any:
        try:
            return queries.instant('up{job="self"} == 1', clock.wall_s())
        except MetricsUnavailable:
            return None

    (up,) = eventually(scraped, "it has scraped itself")
    assert up.labels["__name__"] == "up" and up.points[0][1] == 1.0
    assert queries.flags()["storage.tsdb.retention.time"] == "45d"
    now_s = clock.wall_s()
    (seconds,) = queries.range("vector(time())", now_s - 30_000, now_s, 1.0)
    assert len(seconds.points) == 30_001
    assert all(abs(at_s - value) < 0.002 for at_s, value in seconds.points), "the pieces meet without a gap or a doubled point"
    with pytest.raises(MetricsUnavailable, match="parse error"):
        queries.instant("sum(", now_s)
    with pytest.raises(MetricsUnavailable, match="too many samples"):
        queries.range('{__name__=~"prometheus_.+"}', now_s - 60, now_s + 290, 1.0)
    assert queries.instant("no_such_series", now_s) == ()
    long = " or ".join(f'm{{label="{n}"}}' for n in range(5_000))
    assert queries.instant(f"{long} or vector(1)", now_s)


# --- the fake


def test_the_fake_tells_what_was_written_down_at_the_times_asked() -> None:
    points = ((AT_S, 1.0), (AT_S + 60, 2.0), (AT_S + 600, 3.0))
    fake = FakeQueries({"slo:bad:ratio": (Series({"slo": "orders"}, points),), "bad": ()})
    assert fake.instant("sum(slo:bad:ratio)", AT_S + 59)[0].points == ((AT_S + 59, 1.0),)
    assert fake.instant("slo:bad:ratio", AT_S + 500) == (), "too old to count"
    (series,) = fake.range("slo:bad:ratio", AT_S - 60, AT_S + 600, 60.0)
    assert [value for _, value in series.points] == [1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 3.0]
    assert fake.instant("other", AT_S) == ()
