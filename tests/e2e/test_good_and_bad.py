"""The main job with real processes: a good release reaches everybody, a bad one leaves its first step backwards only, and both are told."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from e2e.bed import BAD, FIRST, GOOD, LONG_S, Bed, pipeline, until, venue_bed
from engine import _core
from engine.types import RejectReason

pytestmark = pytest.mark.e2e
ONE_PERCENT = Fraction(1, 100)


@pytest.fixture(scope="module")
def venue(shelve: Callable[[Path], None]) -> Iterator[Bed]:
    with venue_bed(shelve, gateways=4) as made:
        yield made


@pytest.fixture
def bed(venue: Bed) -> Iterator[Bed]:
    yield venue
    venue.reset()


def test_a_good_release_reaches_everybody_and_costs_no_request(bed: Bed, tmp_path: Path) -> None:
    with bed.flow(300) as flow:
        running = bed.deploy(GOOD, pipeline(bed.folder, "25%", "100%", passes=2), "--canary", "1%")
        done = running.end()
        result = flow.stop()
    assert done.code == 0, str(done)
    assert (done.data["promoted"], done.data["version"], done.data["stable_version"]) == (True, GOOD, FIRST)
    assert (done.data["canary_errors"], done.data["cause"], done.data["exit_code"]) == (0, None, 0)
    assert result["wrong_answers"] == 0, result
    assert result["by_version"].keys() == {FIRST, GOOD}

    stream = done.data["release"]
    assert bed.asked_shares(stream) == [0.01, 0.25, 1.0]
    assert [e.data["share"] for e in bed.events("weight.applied", stream)] == [0.01, 0.25, 1.0]
    verdicts = [e.data["verdict"] for e in bed.events("check", stream)]
    assert verdicts.count("PASS") >= 6
    assert "FAIL" not in verdicts
    assert bed.sample()["by_version"] == {GOOD: 200}

    told_by_status(bed)
    told_by_history(bed, done.data, tmp_path)
    until(lambda: bed.sees("stable") == {GOOD}, "Prometheus tells the new version's gateways as stable")


def told_by_status(bed: Bed) -> None:
    status = bed.status()
    assert (status["running"], status["problems"]) == (True, [])
    stable, warm = status["pools"]
    assert (stable["track"], stable["version"], stable["gateways_up"], stable["share_asked"]) == ("stable", GOOD, 4, "1")
    assert (warm["track"], warm["version"], warm["gateways_up"], warm["share_asked"]) == ("warm", FIRST, 4, "0")
    assert all(row["crashes"] == 0 for row in status["programs"])
    assert GOOD in bed.opsctl("status").out


def told_by_history(bed: Bed, outcome: dict[str, object], tmp_path: Path) -> None:
    row = bed.opsctl("history", "--output", "json").data[-1]
    assert (row["version"], row["stable_version"], row["outcome"]) == (GOOD, FIRST, "promoted")
    assert (row["canary_requests"], row["canary_errors"]) == (outcome["canary_requests"], 0)
    assert "promoted" in bed.opsctl("history").out
    number = str(row["number"])
    events = bed.opsctl("history", "show", number, "--output", "json").data["events"]
    assert [events[0]["kind"], events[-1]["kind"]] == ["release.started", "release.ended"]
    assert "PASS at 25.00%" in bed.opsctl("history", "show", number).out
    picture = tmp_path / "release.png"
    bed.opsctl("history", "show", number, "--plot", str(picture))
    assert picture.read_bytes().startswith(b"\x89PNG\r\n")
    assert picture.stat().st_size > 10_000


def test_a_bad_release_goes_back_from_its_first_step_after_three_fails_in_a_row(bed: Bed) -> None:
    with bed.flow(300) as flow, bed.watch() as watch:
        done = bed.deploy(BAD, pipeline(bed.folder, "25%", "100%", passes=2, per_step=50), "--canary", "1%").end()
        result = flow.stop()
    assert done.code == 3, str(done)
    outcome = done.data
    assert (outcome["promoted"], outcome["cause"], outcome["exit_code"]) == (False, "checks_failed", 3)
    rounds = [(e.data["verdict"], e.data["fails_in_row"]) for e in bed.events("check", outcome["release"])]
    conclusive = [row for row in rounds if row[0] != "INCONCLUSIVE"]
    assert conclusive[-3:] == [("FAIL", 1), ("FAIL", 2), ("FAIL", 3)], rounds
    assert rounds[-1] == ("FAIL", 3), "it acts on the third, at once"
    assert bed.asked_shares(outcome["release"]) == [0.01]
    assert (watch.most, bed.share()) == (ONE_PERCENT, 0)
    assert (outcome["served_after_zero"], outcome["zero_after_s"] is not None) == (0, True)
    assert result["wrong_by_version"] == {BAD: outcome["canary_errors"]}, "the splitter counts what users saw"
    after = bed.sample(300)
    assert (after["wrong_answers"], after["by_version"].keys()) == (0, {FIRST})
    row = bed.opsctl("history", "--output", "json").data[-1]
    assert (row["outcome"], row["canary_errors"]) == ("rolled back (checks_failed)", outcome["canary_errors"])
    pools = bed.status()["pools"]
    assert [(pool["track"], pool["gateways_up"]) for pool in pools] == [("stable", 4), ("idle", 0)]


def test_rollback_after_the_promotion_is_one_switch_and_closes_the_sessions_of_the_pool_left(bed: Bed) -> None:
    with bed.flow() as flow:
        assert bed.deploy(GOOD, pipeline(bed.folder, "2%", "100%")).end().code == 0
        with socket.create_connection(("127.0.0.1", bed.venue.ports.binary), timeout=LONG_S) as member:
            log_on(member, (bed.state / "demo.key").read_text().strip())
            before = len(bed.events("weight.asked"))
            done = bed.opsctl("rollback", "--reason", "members report stale quotes", "--output", "json")
            assert member.recv(4096) == b"", "the session with the version left behind is over"
        result = flow.stop()
    assert (done.data["version"], done.data["stable_version"], done.data["sessions_closed"]) == (GOOD, FIRST, 1)
    assert done.data["served_after_zero"] == 0
    assert result["wrong_answers"] == 0, result
    assert len(bed.events("weight.asked")) == before, "one switch, no canary of the old version"
    assert bed.events("venue.switched")[-1].data["to"] == FIRST
    assert bed.sample()["by_version"].keys() == {FIRST}
    stable = bed.status()["pools"][0]
    assert (stable["version"], stable["share_asked"], stable["gateways_up"]) == (FIRST, "1", 4)
    again = bed.opsctl("rollback", code=5)
    assert f"there is no version before {FIRST}" in again.err


def log_on(member: socket.socket, token: str) -> None:
    member.sendall(_core.encode_logon(1, token))
    decoder, frames = _core.FrameDecoder(), []
    while not frames:
        data = member.recv(4096)
        assert data, "the session ended before its logon was answered"
        frames.extend(decoder.feed(data))
    assert (frames[0][0], RejectReason(frames[0][5])) == ("reply", RejectReason.NONE)
