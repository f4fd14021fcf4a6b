"""`make demo`: the main job, with the very commands a person would type. Everything it makes is under build/demo.

    up -> order flow -> build 1.1.0 -> canary, promoted -> build a bad 1.2.0 -> canary, rolled back by itself -> what happened, and what
    it cost -> down

It fails when any of it did not happen: a demo that cannot fail shows nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from demo import money
from demo.bad_release import make_source

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "demo"
STATE = WORK / "state"
BIN = Path(sys.executable).parent
GOOD, BAD = "1.1.0", "1.2.0"
RATE, SEED = 400, 7
STEP_LIMIT_S = 600


class DemoFailed(Exception):
    pass


def main() -> int:
    began = time.monotonic()
    WORK.mkdir(parents=True, exist_ok=True)
    try:
        story()
    except DemoFailed as error:
        print(f"\nDEMO FAILED: {error}", flush=True)
        return 1
    finally:
        opsctl("down", check=None, quiet=True)
    print(f"\nDEMO PASSED in {time.monotonic() - began:.0f} s", flush=True)
    return 0


def story() -> None:
    begin_anew()
    heading("1. The venue comes up")
    opsctl("up", "--gateways", "4")
    url = endpoint("api")
    heading("2. Two releases are built: a good one, and one with a real bug (demo/bad-release)")
    opsctl("releases", "build", "--version", GOOD, "--rebuild")
    opsctl("releases", "build", "--version", BAD, "--rebuild", "--source", str(make_source(ROOT, WORK / "bad-source")))
    heading(f"3. Members trade, {RATE} requests a second")
    with order_flow(url) as flow:
        first_order(url)
        heading(f"4. {GOOD} ships through a 1 % canary")
        good = deploy(GOOD, expected=0)
        heading(f"5. {BAD} answers a part of all orders with an error: it must not get past 1 %")
        bad = deploy(BAD, expected=3)
        result = flow.stop()
    heading("6. What happened")
    opsctl("history")
    for number, name in ((good, "good"), (bad, "bad")):
        opsctl("history", "show", str(number["release"]).removeprefix("release-"), "--plot", str(WORK / f"{name}-release.png"))
    opsctl("status")
    verdict(good, bad, result)
    heading("7. What it cost")
    budget()
    for line in money.lines(endpoint("prometheus"), bad):
        print(f"  {line}", flush=True)


def begin_anew() -> None:
    """An earlier demo's venue goes, orders and history included. What it built stays; it is built again when the source changed."""
    opsctl("down", check=None, quiet=True)
    for entry in STATE.iterdir() if STATE.is_dir() else ():
        if entry.name != "releases":
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


class Flow:
    """The order flow, running beside."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def stop(self) -> Mapping[str, Any]:
        if self._process.poll() is not None:
            raise DemoFailed(f"the order flow ended early with exit code {self._process.returncode}")
        self._process.send_signal(signal.SIGINT)
        out, _ = self._process.communicate(timeout=30)
        result: Mapping[str, Any] = json.loads(out)
        return result

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(timeout=10)


@contextlib.contextmanager
def order_flow(url: str) -> Iterator[Flow]:
    argv = [str(BIN / "exchange"), "flow", "--url", url, "--rate", str(RATE), "--seed", str(SEED)]
    argv += ["--key-file", str(STATE / "demo.key"), "--output", "json"]
    show(argv)
    with (WORK / "flow.log").open("w") as log:
        flow = Flow(subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=log, text=True, env=environment()))
        try:
            yield flow
        finally:
            flow.kill()


def first_order(url: str) -> None:
    """One order, as a member would send it with curl."""
    body = {"instrument": "AAPL", "side": "buy", "type": "limit", "price": 150.10, "quantity": 100}
    token = (STATE / "demo.key").read_text().strip()
    request = Request(f"{url}/api/v1/orders", json.dumps(body).encode(), {"Authorization": f"Bearer {token}"})  # noqa: S310 - our own http URL
    with urlopen(request, timeout=10) as answer:  # noqa: S310
        print(f"  one order by hand: {answer.status} {answer.read().decode()[:160]}", flush=True)


def deploy(version: str, expected: int) -> Mapping[str, Any]:
    """Ships `version`, shows each round, and returns the outcome. The exit code must be `expected`."""
    done = opsctl("deploy", version, "--canary", "1%", "--output", "json", check=expected)
    outcome: Mapping[str, Any] = json.loads(done)
    print(f"  {outcome['release']}: {'PROMOTED' if outcome['promoted'] else 'ROLLED BACK'}: {outcome['reason']}", flush=True)
    return outcome


def verdict(good: Mapping[str, Any], bad: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    wrong_by_version = dict(result["wrong_by_version"])
    print(f"  good release {GOOD}: promoted after {good['seconds']:.0f} s; wrong answers from it: {good['canary_errors']}")
    print(f"  bad release {BAD}: rolled back after {bad['seconds']:.0f} s; weight 0 {bad['zero_after_s']:.3f} s after the third FAIL,")
    print(f"    whole rollback {bad['rollback_s']:.2f} s; canary requests begun after the read-back: {bad['served_after_zero']}")
    print(f"  order flow: {result['requests']} requests, wrong answers {result['wrong_answers']}, by version {wrong_by_version or 'none'}")
    print(f"  answers that users got wrong in the bad release: {bad['canary_errors']} of {bad['canary_requests']} canary requests")
    others = {version: count for version, count in wrong_by_version.items() if version != BAD}
    if others:
        raise DemoFailed(f"wrong answers from versions that are not the bad one: {others}")
    if bad["served_after_zero"]:
        raise DemoFailed("the canary was given requests after its weight read back as 0")
    print(f"  pictures: {WORK / 'good-release.png'}, {WORK / 'bad-release.png'}")


def budget() -> None:
    """As far as it is known: the month is added up every five minutes, and this venue is young."""
    month = json.loads(opsctl("budget", "--output", "json", quiet=True))
    if month["dollars"]["spent_usd"] is None:
        print("  `opsctl budget` knows nothing yet: it adds up the month every five minutes, and this venue is younger", flush=True)
    else:
        opsctl("budget", "--slo", money.SLO)


def status() -> Any:
    return json.loads(opsctl("status", "--output", "json", quiet=True))


def endpoint(name: str) -> str:
    return str(status()["endpoints"][name])


def opsctl(*arguments: str, check: int | None = 0, quiet: bool = False) -> str:
    """Runs a command as typed; its progress goes to the screen. Returns what it printed on stdout."""
    argv = [str(BIN / "opsctl"), *arguments]
    if not quiet:
        show(argv)
    stderr = subprocess.DEVNULL if quiet else None
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment(), timeout=STEP_LIMIT_S, check=False)
    if not quiet and "json" not in arguments:
        print(done.stdout, end="", flush=True)
    if check is not None and done.returncode != check:
        raise DemoFailed(f"`opsctl {shlex.join(arguments)}` ended with exit code {done.returncode}, not {check}")
    return done.stdout


def environment() -> dict[str, str]:
    return {**os.environ, "OPSCTL_STATE": str(STATE), "PYTHONUNBUFFERED": "1"}


def heading(text: str) -> None:
    print(f"\n== {text}", flush=True)


def show(argv: list[str]) -> None:
    print(f"$ {shlex.join([Path(argv[0]).name, *argv[1:]])}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
