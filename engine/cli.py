"""`exchange`: the venue's processes and its order flow. Each command imports what it needs, so that --help stays fast."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from engine.config import VenueError, default_instruments_path
from engine.control.cli import app as control_app
from engine.tools import cli as tools

app = typer.Typer(
    name="exchange",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="A stock exchange's matching core, its gateways, and an order flow to drive them.\n\n"
    "Start with: `exchange keys new --file keys.yaml`, then `exchange core` and `exchange gateway`. "
    "To run a whole venue under supervision, use `opsctl up`.\n\n"
    "Exit codes: 0 done, 1 a log or a snapshot cannot be trusted or written, 2 bad option, file or refusal, 3 a comparison or a check "
    "failed, 6 something needed does not answer. All of them: docs/exit-codes.md.\n\n"
    "Example: exchange core --log-dir ./log",
)
keys_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="API keys.\n\nExample: exchange keys new --file keys.yaml --id desk-1 --firm 7"
)
sample_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Sample data.\n\nExample: exchange sample lobster ./sample")
app.add_typer(keys_app, name="keys")
app.add_typer(sample_app, name="sample")
app.add_typer(control_app, name="control")

Instruments = Annotated[
    Path, typer.Option("--instruments", help="YAML list of instruments and their guards.", show_default="the packaged list")
]
LinkKey = Annotated[
    Path | None, typer.Option("--link-key", help="File with the secret that core and gateways share, mode 0600. Default: none.")
]


def _version(wanted: bool) -> None:
    if wanted:
        from engine import COMMIT, __version__

        typer.echo(f"exchange {__version__} (commit {COMMIT})")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say version and commit, and end.")] = False,
) -> None:
    """Without its own words: those of `app` are shown."""


Port = Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")]


@app.command()
def core(
    log_dir: Annotated[Path, typer.Option(help="Folder of the order log. Made when missing.")],
    link_port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the gateways' link; 0 takes a free one.")] = 9001,
    admin_port: Annotated[int, typer.Option(min=0, max=65535, help="Port of /metrics, /healthz, /readyz on loopback; 0: free.")] = 9101,
    instruments: Instruments = default_instruments_path(),
    host: Annotated[str, typer.Option(help="Address of the gateways' link; other than loopback only with --link-key.")] = "127.0.0.1",
    ack_policy: Annotated[str, typer.Option(help="device: on disk before any answer. memory: survives a process crash only.")] = "device",
    epoch: Annotated[int, typer.Option(min=1, max=(1 << 63) - 1, help="Grows with each change of primary.")] = 1,
    link_key: LinkKey = None,
    partitions: Annotated[int, typer.Option(min=1, max=64, help="Matching threads; fixed for the life of a log.")] = 1,
    limits: Annotated[Path | None, typer.Option(help="Limits file; its default is fixed for the life of a log.")] = None,
    snapshot_every: Annotated[str, typer.Option(help="From one snapshot to the next, such as 5m; 0: none.")] = "5m",
    sessions: Annotated[Path | None, typer.Option(help="Sessions file: when instruments open and close. Default: never.")] = None,
    pin_threads: Annotated[bool, typer.Option("--pin-threads", help="A CPU for each thread, where there are enough.")] = False,
) -> None:
    """Run the matching core: recover the log, then serve gateways until SIGTERM.

    Example: exchange core --log-dir ./log --link-port 9001 --admin-port 9101
    """
    from engine.config import parse_duration_s
    from engine.core.process import ACK_POLICIES, CoreSettings, run_core

    if ack_policy not in ACK_POLICIES:
        raise VenueError(f"--ack-policy: expected one of {', '.join(ACK_POLICIES)}, not {ack_policy!r}")
    every_s = 0.0 if snapshot_every.strip() in ("0", "0s", "off") else parse_duration_s(snapshot_every, "--snapshot-every")
    settings = CoreSettings(
        log_dir, instruments, host, link_port, admin_port, ack_policy, epoch, link_key, partitions, limits, every_s, sessions, pin_threads
    )
    raise typer.Exit(run_core(settings))


@app.command()
def gateway(
    name: Annotated[str, typer.Option(help="The gateway's name, for example gateway-1; every answer carries it.")],
    keys: Annotated[Path, typer.Option(help="Keys file, mode 0600; watched for changes.")],
    core: Annotated[str, typer.Option(help="HOST:PORT of the core's link.")] = "127.0.0.1:9001",
    http_port: Annotated[int, typer.Option(min=0, max=65535, help="REST, /metrics, /healthz, /readyz; 0: free.")] = 8080,
    binary_port: Annotated[int, typer.Option(min=0, max=65535, help="Binary order entry; 0: free.")] = 8090,
    instruments: Instruments = default_instruments_path(),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    max_requests: Annotated[int, typer.Option(min=1, max=100_000, help="Requests in flight at once; past it 429.")] = 1024,
    link_key: LinkKey = None,
) -> None:
    """Run a gateway: REST and binary order entry in front of a core, until SIGTERM.

    Example: exchange gateway --name gateway-1 --core 127.0.0.1:9001 --keys keys.yaml
    """
    from engine.config import parse_address
    from engine.gateway.process import GatewaySettings, run_gateway
    from engine.keys import KEY_ID

    if not KEY_ID.fullmatch(name):
        raise VenueError("--name: expected 1 to 36 of A-Z a-z 0-9 . _ -")
    core_host, core_port = parse_address(core, "--core")
    settings = GatewaySettings(name, core_host, core_port, keys, instruments, host, http_port, binary_port, max_requests, link_key)
    raise typer.Exit(run_gateway(settings))


@app.command()
def probe(
    key_file: Annotated[Path, typer.Option(help="File that holds the API key's token.")],
    url: Annotated[str, typer.Option(help="Where the venue's REST interface is.")] = "http://127.0.0.1:8080",
    admin_port: Annotated[int, typer.Option(min=0, max=65535, help="Port of /metrics, /healthz, /readyz on loopback; 0: free.")] = 9102,
    interval: Annotated[str, typer.Option(help="From the start of one round to the next.")] = "2s",
    bound: Annotated[str, typer.Option(help="The longest that each of a round's three requests may take.")] = "2s",
    note: Annotated[Path | None, typer.Option(help="File to keep the open order's id in. Default: none.")] = None,
    instruments: Instruments = default_instruments_path(),
) -> None:
    """Try again and again, as a member, whether a desk could flatten and pause; show it on /metrics, until SIGTERM.

    Example: exchange probe --key-file probe.key --url http://127.0.0.1:8080
    """
    from engine.config import parse_duration_s
    from engine.probe.process import ProbeSettings, run_probe

    if not re.match(r"https?://[^/\s]", url):
        raise VenueError(f"--url: expected http://HOST:PORT, not {url!r}")
    interval_s, bound_s = parse_duration_s(interval, "--interval"), parse_duration_s(bound, "--bound")
    raise typer.Exit(run_probe(ProbeSettings(url, key_file, instruments, admin_port, interval_s, bound_s, note)))


@keys_app.command("new")
def keys_new(
    file: Annotated[Path, typer.Option(help="Keys file to add to; made with mode 0600 when missing.")],
    key_id: Annotated[str, typer.Option("--id", help="The key's name in the file and the logs.")] = "member-1",
    firm: Annotated[int, typer.Option(min=1, max=65535, help="The firm that owns what the key orders.")] = 1,
    permission: Annotated[list[str] | None, typer.Option(help="trade or read; repeat for both. Default: both.")] = None,
    rate: Annotated[int, typer.Option(min=1, help="Requests per second.")] = 500,
    burst: Annotated[int | None, typer.Option(min=1, help="Requests at once. Default: twice the rate.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be added; make no token and no file.")] = False,
) -> None:
    """Make an API key. The token goes to stdout once and is kept nowhere; the file gets its digest.

    Example: export EXCHANGE_API_KEY=$(exchange keys new --file keys.yaml --id desk-1 --firm 7)
    """
    from engine.keys import add_key, planned_key

    asked = (key_id, firm, permission or ("trade", "read"), rate, burst)
    if dry_run:
        entry = planned_key(file, *asked)
        rights = " and ".join(sorted(entry.permissions))
        what = f"key {entry.id} of firm {entry.firm}, {rights}, {entry.rate_per_s} requests a second, {entry.burst} at once"
        typer.echo(f"would be added to {file}: {what}", err=True)
        return
    typer.echo(add_key(file, *asked))


@sample_app.command("lobster")
def sample_lobster(
    folder: Annotated[Path, typer.Argument(help="Folder for the two files; made when missing.")],
    instrument: Annotated[str, typer.Option(help="Symbol in the files' names.")] = "AAPL",
    count: Annotated[int, typer.Option(min=1, max=1_000_000, help="Messages.")] = 1000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same files.")] = 7,
) -> None:
    """Write a made-up LOBSTER sample (message and order book files) to replay. Prints the message file's path.

    Example: exchange flow --lobster $(exchange sample lobster ./sample)
    """
    from engine.flow.edge import seeded
    from engine.flow.sample import write_sample

    typer.echo(str(write_sample(folder, instrument, count, seeded(seed))[0]))


@app.command()
def flow(
    url: Annotated[str, typer.Option(help="Where the venue's REST interface is.")] = "http://127.0.0.1:8080",
    rate: Annotated[float, typer.Option(min=0.1, max=100_000, help="Requests per second, open loop.")] = 400.0,
    seed: Annotated[int, typer.Option(help="The same seed sends the same flow.")] = 7,
    duration: Annotated[str | None, typer.Option(help="For example 60s or 5m. Default: until Ctrl-C.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Requests to send, then stop.")] = None,
    output: Annotated[str, typer.Option(help="table or json, on stdout.")] = "table",
    key_file: Annotated[Path | None, typer.Option(help="File that holds the API key's token. Default: $EXCHANGE_API_KEY.")] = None,
    instruments: Instruments = default_instruments_path(),
    instrument: Annotated[list[str] | None, typer.Option(help="Symbol to trade; repeat for several. Default: all in the file.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Send these orders, one after the other, instead of a generated flow.")] = None,
    lobster: Annotated[Path | None, typer.Option(help="Replay this LOBSTER message file and compare every book.")] = None,
    orderbook: Annotated[Path | None, typer.Option(help="The true books. Default: the message file's name with orderbook.")] = None,
    progress: Annotated[bool, typer.Option("--progress", help="A live line on stderr though it is no terminal.")] = False,
    mix: Annotated[str, typer.Option(help="plain: limit, market, cancel. full: stops, amendments and gtc orders too.")] = "plain",
) -> None:
    """Send order flow over REST and say what came back.

    Generated (default): seeded, on an open-loop schedule. --csv: columns instrument,side,type,price,quantity and optionally
    stop_price,time_in_force,client_order_id. --lobster: seeds the book, sends every message, compares ten levels after each.

    Exit code 3 when a replayed book differed.

    Example: exchange flow --rate 400 --seed 7 --duration 60s
    """
    from engine.flow.edge import FlowOptions, run_flow

    options = FlowOptions(
        url, rate, seed, duration, count, output, key_file, instruments, tuple(instrument or ()), csv, lobster, orderbook, progress, mix
    )
    raise typer.Exit(run_flow(options))


app.add_typer(tools.log_app, name="log")
for _name, _command in (
    ("replay", tools.replay),
    ("snapshot", tools.snapshot),
    ("verify-release", tools.verify_release),
    ("eod", tools.eod),
):
    app.command(_name)(_command)


def main() -> None:
    """The entry point: a user's mistake is one line and a hint on stderr, never a traceback."""
    try:
        app()
    except VenueError as error:
        print(f"error: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"  next: {error.hint}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
