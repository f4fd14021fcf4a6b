"""Prometheus as a witness: right figures from right answers, a reason for every other one, and a real Prometheus at the end."""

from __future__ import annotations

import gzip
import json
import math
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import conventions as names
from ops.adapters import prometheus as module
from ops.adapters.clock import SystemClock
from ops.adapters.prometheus import PrometheusMetrics
from ops.conventions import Track
from ops.errors import MetricsUnavailable

AT_S = 1_800_000_000.0
VERSIONS = {Track.CANARY: "1.1.0", Track.STABLE: "1.0.0"}
QUESTIONS = ("newest", "codes", "buckets")
Rows = list[dict[str, Any]]


def question(query: str) -> str:
    return "newest" if "timestamp(" in query else "buckets" if "_bucket" in query else "codes"


def row(value: str, at_s: float = AT_S, **labels: str) -> dict[str, Any]:
    return {"metric": labels, "value": [at_s, value]}


def truth(asked: str) -> Rows:
    """Canary: 100 requests, 3 of them 5xx, 90 orders; stable: 9900, 40, 9000."""
    rows: Rows = []
    for track, version, whole, bad in (("canary", "1.1.0", 100, 3), ("stable", "1.0.0", 9900, 40)):
        if asked == "newest":
            rows.append(row(str(AT_S - 0.5), track=track, version=version))
        elif asked == "codes":
            counts = {"200": whole - bad - 10, "404": 10, "500": bad - 1, "503": 1}
            rows += [row(f"{n + 0.2}", track=track, version=version, code=code) for code, n in counts.items()]
        else:
            part = {"0.005": 0.5, "0.5": 0.9, "1.0": 0.899, "+Inf": 0.9}
            rows += [row(str(whole * p), track=track, version=version, le=le) for le, p in part.items()]
    return rows


class StandIn:
    """Answers Prometheus' instant queries strictly, but for the question that `lie` is told on."""

    def __init__(self) -> None:
        self.lie: Callable[[BaseHTTPRequestHandler, Rows], None] | None = None
        self.on = "newest"
        self.queries: list[str] = []
        self.paths: list[str] = []

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        asked = parse_qs(parts.query, strict_parsing=True)
        self.paths.append(parts.path)
        if parts.path != "/api/v1/query" or set(asked) != {"query", "time"} or float(asked["time"][0]) != AT_S:
            send(handler, b"strict stand-in: not a query I know", status=400)
            return
        self.queries.append(asked["query"][0])
        which = question(asked["query"][0])
        if self.lie is not None and which == self.on:
            self.lie(handler, truth(which))
        else:
            send_rows(handler, truth(which))


def send(handler: BaseHTTPRequestHandler, body: bytes, *, status: int = 200, length: int | None = None, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


def envelope(result: Any) -> bytes:
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()


def send_rows(handler: BaseHTTPRequestHandler, result: Any) -> None:
    send(handler, envelope(result), Content_Type="application/json")


@pytest.fixture
def stand_in() -> StandIn:
    return StandIn()


@pytest.fixture
def metrics(serve: Callable[[Any], str], stand_in: StandIn) -> PrometheusMetrics:
    return PrometheusMetrics(serve(stand_in), SystemClock())


def test_counts_errors_and_histograms_are_read_right(metrics: PrometheusMetrics) -> None:
    samples = metrics.sample(VERSIONS, AT_S, 30.0)
    canary, stable = samples[Track.CANARY], samples[Track.STABLE]
    assert (canary.requests, canary.errors, canary.age_s) == (101, 3, 0.5)
    assert canary.buckets == ((0.005, 50), (0.5, 90), (1.0, 90), (math.inf, 90)), "rounded, and never falling"
    assert (stable.requests, stable.errors) == (9901, 40)


def test_the_question_names_tracks_window_and_instant(metrics: PrometheusMetrics, stand_in: StandIn) -> None:
    metrics.sample(VERSIONS, AT_S, 30.0)
    assert {question(q) for q in stand_in.queries} == set(QUESTIONS)
    assert all('{track=~"canary|stable"' in q for q in stand_in.queries)
    assert sum("[30s]" in q for q in stand_in.queries) == 2


def test_a_window_is_never_shorter_than_two_scrapes(metrics: PrometheusMetrics, stand_in: StandIn) -> None:
    metrics.sample(VERSIONS, AT_S, 0.3)
    assert sum("[2s]" in q for q in stand_in.queries) == 2


def test_no_orders_is_an_empty_histogram(metrics: PrometheusMetrics, stand_in: StandIn) -> None:
    stand_in.on, stand_in.lie = "buckets", lambda handler, _rows: send_rows(handler, [])
    assert metrics.sample(VERSIONS, AT_S, 30.0)[Track.CANARY].buckets == ()


def with_value(value: Any) -> Callable[[BaseHTTPRequestHandler, Rows], None]:
    return lambda handler, rows: send_rows(handler, [{**rows[0], "value": value}, *rows[1:]])


def answer(body: bytes, **how: Any) -> Callable[[BaseHTTPRequestHandler, Rows], None]:
    return lambda handler, _rows: send(handler, body, **how)


LIES: dict[str, tuple[Callable[[BaseHTTPRequestHandler, Rows], None], str]] = {
    "NaN": (with_value([AT_S, "NaN"]), "NaN"),
    "+Inf": (with_value([AT_S, "+Inf"]), r"\+Inf"),
    "-Inf": (with_value([AT_S, "-Inf"]), "-Inf"),
    "negative": (with_value([AT_S, "-1"]), "negative"),
    "absurd": (with_value([AT_S, "1e300"]), "absurd"),
    "infinite instant": (with_value([math.inf, "1"]), "Prometheus gave 1 for a figure"),
    "another instant": (with_value([AT_S - 600, "5"]), "600 s away"),
    "no number": (with_value([AT_S, "many"]), "no number"),
    "no pair": (with_value(7), "no number"),
    "half a pair": (with_value([AT_S]), "no number"),
    "a mapping for a pair": (with_value({"0": 1}), "no number"),
    "null": (with_value(None), "no number"),
    "two series": (lambda handler, rows: send_rows(handler, [*rows, rows[0]]), "two series"),
    "a matrix": (lambda handler, _r: send_rows(handler, [{"metric": {}, "values": [[AT_S, "1"]]}]), "else than a vector"),
    "a scalar": (lambda handler, _r: send_rows(handler, [AT_S, "1"]), "else than a vector"),
    "labels that are none": (lambda handler, rows: send_rows(handler, [{**rows[0], "metric": []}]), "else than a vector"),
    "error with status 200": (answer(b'{"status":"error","errorType":"execution","error":"too many samples"}'), "without a result"),
    "null data": (answer(b'{"status":"success","data":null}'), "without a result"),
    "a list": (answer(b"[]"), "without a result"),
    "HTML": (answer(b"<html><body>Please log in</body></html>", Content_Type="text/html"), "not JSON"),
    "nothing": (answer(b""), "not JSON"),
    "no text": (answer(b"\xff\xfe\x00\x80"), "not JSON"),
    "deep": (answer(b"[" * 200_000), "without a result"),
    "no gzip": (answer(b"not gzip", Content_Encoding="gzip"), "Prometheus"),
    "503": (answer(b"busy", status=503), "503"),
    "404": (answer(b"gone", status=404), "404"),
    "422": (answer(b'{"status":"error"}', status=422), "422"),
    "cut": (answer(b'{"status":"succ', length=5000), "Prometheus"),
    "no answer": (lambda handler, _r: handler.connection.shutdown(socket.SHUT_RDWR), "cannot be reached"),
    "not HTTP": (lambda handler, _r: handler.wfile.write(b"SSH-2.0-OpenSSH\r\n\r\n"), "cannot be reached"),
    "too long": (answer(b" " * (module.MOST_BYTES + 70_000)), "did not answer"),
}


@pytest.mark.parametrize("on", QUESTIONS)
@pytest.mark.parametrize("name", LIES)
def test_what_is_no_figure_is_refused_with_its_reason(metrics: PrometheusMetrics, stand_in: StandIn, name: str, on: str) -> None:
    stand_in.on, (stand_in.lie, said) = on, LIES[name]
    with pytest.raises(MetricsUnavailable, match=said):
        metrics.sample(VERSIONS, AT_S, 30.0)
    stand_in.lie = None
    assert metrics.sample(VERSIONS, AT_S, 30.0), "a lie that ended leaves nothing behind"


def changed(edit: Callable[[Rows], Rows]) -> Callable[[BaseHTTPRequestHandler, Rows], None]:
    return lambda handler, rows: send_rows(handler, edit(rows))


def of(rows: Rows, track: str) -> Rows:
    return [r for r in rows if r["metric"]["track"] != track]


PARTIAL: list[tuple[str, Callable[[Rows], Rows], str]] = [
    ("newest", lambda rows: [], "no series of the canary track with version 1.1.0"),
    ("newest", lambda rows: of(rows, "stable"), "no series of the stable track"),
    ("newest", lambda rows: [row(str(AT_S), track="canary", version="0.9.0"), *of(rows, "canary")], "no series of the canary"),
    ("newest", lambda rows: [row(str(AT_S - 600), track="canary", version="1.1.0"), *of(rows, "canary")], "600 s old"),
    ("codes", lambda rows: [], "no request counts of the canary"),
    ("codes", lambda rows: of(rows, "canary"), "no request counts of the canary"),
    ("codes", lambda rows: of(rows, "stable"), "no request counts of the stable"),
    ("buckets", lambda rows: [r for r in rows if r["metric"]["le"] != "+Inf"], r"no \+Inf bucket"),
    ("buckets", lambda rows: [row("1", track="canary", version="1.1.0", le="wide")], "bound 'wide'"),
    ("buckets", lambda rows: [row("1", track="canary", version="1.1.0", le="NaN")], "bound 'NaN'"),
    ("buckets", lambda rows: [row("1", track="canary", version="1.1.0")], "bound ''"),
]


@pytest.mark.parametrize(("on", "edit", "said"), PARTIAL)
def test_an_answer_with_a_part_missing_is_refused(
    metrics: PrometheusMetrics, stand_in: StandIn, on: str, edit: Callable[[Rows], Rows], said: str
) -> None:
    stand_in.on, stand_in.lie = on, changed(edit)
    with pytest.raises(MetricsUnavailable, match=said):
        metrics.sample(VERSIONS, AT_S, 30.0)


def test_a_zipped_answer_is_read(metrics: PrometheusMetrics, stand_in: StandIn) -> None:
    stand_in.on = "codes"
    stand_in.lie = lambda handler, rows: send(handler, gzip.compress(envelope(rows)), Content_Encoding="gzip")
    assert metrics.sample(VERSIONS, AT_S, 30.0)[Track.CANARY].requests == 101


def test_an_answer_in_pieces_is_read(metrics: PrometheusMetrics, stand_in: StandIn) -> None:
    def pieces(handler: BaseHTTPRequestHandler, rows: Rows) -> None:
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.send_header("Connection", "close")
        handler.end_headers()
        body = envelope(rows)
        for at in range(0, len(body), 100):
            piece = body[at : at + 100]
            handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        handler.wfile.write(b"0\r\n\r\n")
        handler.close_connection = True

    stand_in.on, stand_in.lie = "codes", pieces
    assert metrics.sample(VERSIONS, AT_S, 30.0)[Track.CANARY].requests == 101


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """Set when the test ends, so that a server that hangs lets go."""
    event = threading.Event()
    yield event
    event.set()


def bounded(metrics: PrometheusMetrics) -> str:
    """What `sample` refused with; fails when it never comes back."""
    said: list[str] = []

    def ask() -> None:
        try:
            metrics.sample(VERSIONS, AT_S, 30.0)
        except MetricsUnavailable as error:
            said.append(error.message)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(60.0)
    assert not thread.is_alive(), "the question has no bound"
    assert said, "it was answered"
    return said[0]


@pytest.mark.parametrize("on", QUESTIONS)
def test_a_server_that_hangs_is_given_up(
    metrics: PrometheusMetrics, stand_in: StandIn, released: threading.Event, monkeypatch: pytest.MonkeyPatch, on: str
) -> None:
    monkeypatch.setattr(module, "READ_TIMEOUT_S", 0.3)
    stand_in.on, stand_in.lie = on, lambda _handler, _rows: released.wait(300) and None
    assert "did not answer" in bounded(metrics)


@pytest.mark.parametrize("length", [5000, None])
def test_a_body_that_drips_without_an_end_is_cut_off(
    metrics: PrometheusMetrics, stand_in: StandIn, released: threading.Event, monkeypatch: pytest.MonkeyPatch, length: int | None
) -> None:
    """Each byte comes within the client library's own time-out, so that one alone would wait for ever."""
    monkeypatch.setattr(module, "READ_TIMEOUT_S", 0.5)

    def drip(handler: BaseHTTPRequestHandler, _rows: Rows) -> None:
        handler.send_response(200)
        if length:
            handler.send_header("Content-Length", str(10**9))
        handler.end_headers()
        while not released.wait(0.05):
            handler.wfile.write(b" ")

    stand_in.lie = drip
    assert "did not answer" in bounded(metrics)


def test_nobody_there_is_told(free_port: int) -> None:
    with pytest.raises(MetricsUnavailable, match="cannot be reached"):
        PrometheusMetrics(f"http://127.0.0.1:{free_port}", SystemClock()).sample(VERSIONS, AT_S, 30.0)


def test_a_refused_connection_is_not_tried_again(metrics: PrometheusMetrics, stand_in: StandIn) -> None:
    stand_in.lie = answer(b"busy", status=503)
    with pytest.raises(MetricsUnavailable):
        metrics.sample(VERSIONS, AT_S, 30.0)
    assert len(stand_in.paths) == 1


def test_a_proxy_of_the_environment_is_not_asked_about_this_machine(
    metrics: PrometheusMetrics, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert metrics.sample(VERSIONS, AT_S, 30.0)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["metric", "value", "track", "le", "code"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.lists(json_values, min_size=3, max_size=3))
def test_any_answer_is_figures_or_a_refusal(answers: list[Any]) -> None:
    class Client:
        def custom_query(self, query: str, **_options: Any) -> Any:
            return answers[QUESTIONS.index(question(query))]

    metrics = PrometheusMetrics("http://127.0.0.1:9", SystemClock())
    metrics._client = Client()
    try:
        metrics.sample(VERSIONS, AT_S, 30.0)
    except MetricsUnavailable as error:
        assert error.message


# --- the real one


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Exporter:
    """A gateway's /metrics: with each scrape 20 more requests, 2 of them 503, and 10 more orders, 1 of them slow. Probes are not users."""

    def __init__(self) -> None:
        self.scrapes = 0
        self.down = False

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        if self.down:
            send(handler, b"", status=503)
            return
        self.scrapes += 1
        n = self.scrapes
        lines = [
            f'{names.BUILD_INFO}{{version="its own word",commit="abc"}} 1',
            f'{names.HTTP_REQUESTS}{{route="orders_post",code="201"}} {n * 10}',
            f'{names.HTTP_REQUESTS}{{route="orderbook_get",code="200"}} {n * 8}',
            f'{names.HTTP_REQUESTS}{{route="orders_post",code="503"}} {n * 2}',
            f'{names.HTTP_REQUESTS}{{route="{names.OPERATIONS_ROUTE}",code="200"}} {n * 1000}',
            f'{names.ORDER_ACK_SECONDS}_bucket{{le="0.005"}} {n * 9}',
            f'{names.ORDER_ACK_SECONDS}_bucket{{le="0.5"}} {n * 9}',
            f'{names.ORDER_ACK_SECONDS}_bucket{{le="+Inf"}} {n * 10}',
        ]
        send(handler, ("\n".join(lines) + "\n").encode(), Content_Type="text/plain; version=0.0.4")


@pytest.fixture
def real(tmp_path: Path, serve: Callable[[Any], str], free_port: int) -> Iterator[tuple[str, dict[str, Exporter]]]:
    """A real Prometheus that scrapes two canary gateways and one stable one, labelled by a target file."""
    exporters = {name: Exporter() for name in ("canary-0", "canary-1", "stable-0")}
    targets = []
    for name, exporter in exporters.items():
        track = name.split("-")[0]
        labels = {"track": track, "version": VERSIONS[Track(track)], "gateway": name, "env": "test"}
        targets.append({"targets": [serve(exporter).removeprefix("http://")], "labels": labels})
    (tmp_path / "targets.json").write_text(json.dumps(targets), encoding="utf-8")
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{"job_name": "gateways", "file_sd_configs": [{"files": [str(tmp_path / "targets.json")]}]}],
    }
    (tmp_path / "prometheus.yml").write_text(json.dumps(config), encoding="utf-8")
    command = [
        "prometheus",
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{free_port}",
    ]
    with (tmp_path / "log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield f"http://127.0.0.1:{free_port}", exporters
        finally:
            process.terminate()
            process.wait(60)


@pytest.mark.e2e
def test_a_real_prometheus_gives_the_right_figures(real: tuple[str, dict[str, Exporter]], eventually: Callable[..., Any]) -> None:
    url, exporters = real
    clock = SystemClock()
    metrics = PrometheusMetrics(url, clock)

    def sample() -> Any:
        try:
            return metrics.sample(VERSIONS, clock.wall_s(), 5.0)
        except MetricsUnavailable:
            return None

    def full() -> Any:
        """Once each window holds scrapes from end to end."""
        return sample() if min(e.scrapes for e in exporters.values()) >= 10 else None

    def told_right(samples: Any) -> bool:
        canary, stable = samples[Track.CANARY], samples[Track.STABLE]
        return (
            150 <= canary.requests <= 250  # 5 s of 20 a second, twice; extrapolated by Prometheus
            and 75 <= stable.requests <= 125
            and abs(canary.errors / canary.requests - 0.1) < 0.02
            and [le for le, _ in canary.buckets] == [0.005, 0.5, math.inf]
            and abs(canary.buckets[-1][1] / canary.requests - 0.5) < 0.05
            and abs(canary.buckets[0][1] / canary.buckets[-1][1] - 0.9) < 0.05
            and 0 <= canary.age_s <= module.STALE_AFTER_S
        )

    assert eventually(lambda: (found := full()) and told_right(found), "full windows with the right figures")

    with pytest.raises(MetricsUnavailable, match=r"no series of the canary track with version 9\.9\.9"):
        metrics.sample({**VERSIONS, Track.CANARY: "9.9.9"}, clock.wall_s(), 5.0)

    exporters["canary-0"].down = exporters["canary-1"].down = True

    def silent() -> str:
        try:
            metrics.sample(VERSIONS, clock.wall_s(), 5.0)
        except MetricsUnavailable as error:
            return error.message
        return ""

    assert "canary" in eventually(silent, "a canary that is not scraped any more is no evidence")
