"""The commands on a log: `exchange replay`, `snapshot`, `verify-release`, `eod` and `log`. Parse, call, print; engine/cli.py mounts them.

Each command imports what it needs, so that --help stays fast.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.config import VenueError
from engine.state import log_place

if TYPE_CHECKING:
    from engine.tools.edge import LogFiles, VenueLog

log_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Look at an order log, and repair what can be repaired.\n\nExample: exchange log verify --log-dir ./log",
)

LogDir = Annotated[
    Path | None,
    typer.Option(help="Folder of the order log, as `exchange core` has it. It may be in use. Default: that of the venue in --state."),
]
State = Annotated[
    Path | None,
    typer.Option(
        help="State folder of a venue that `opsctl up` started: its log and its instruments. Without --log-dir it is looked for in "
        "$OPSCTL_STATE, then in ~/.local/state/opsctl."
    ),
]
Instruments = Annotated[
    Path | None,
    typer.Option(
        "--instruments",
        help="The instruments file that the core was started with. Default: that of the venue in --state, else the packaged list.",
    ),
]
Limits = Annotated[Path | None, typer.Option("--limits", help="The limits file that the core was started with. Default: none.")]
Partitions = Annotated[int | None, typer.Option(min=1, max=64, help="The core's number of partitions. Default: as many as DIR has.")]
Output = Annotated[str, typer.Option(help="table or json, on stdout.")]
LAST = "last"
MAX_SEQ_NUM = (1 << 63) - 1


def replay(
    log_dir: LogDir = None,
    at: Annotated[str | None, typer.Option(help="Show a book as it was then: 2026-11-20T10:15:23.456789, or last.")] = None,
    seq_num: Annotated[int | None, typer.Option(min=1, max=MAX_SEQ_NUM, help="Show it as it was after this command instead.")] = None,
    instrument: Annotated[str | None, typer.Option(help="Symbol of the book.")] = None,
    depth: Annotated[int, typer.Option(min=1, max=1_000_000, help="Price levels a side.")] = 10,
    orders: Annotated[bool, typer.Option("--orders", help="List every resting order too.")] = False,
    trace: Annotated[int | None, typer.Option(help="Tell the whole life of this order id.")] = None,
    internal: Annotated[bool, typer.Option("--internal", help="With --trace: trade ids and the other side's order ids too.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Check that every snapshot and its tail give the log's state.")] = False,
    zone: Annotated[str, typer.Option(help="Time zone of a moment without an offset, and of the times shown.")] = "UTC",
    state: State = None,
    instruments: Instruments = None,
    limits: Limits = None,
    partitions: Partitions = None,
    output: Output = "table",
) -> None:
    """Apply a log again: the book of any moment (--at), the life of an order (--trace), or a check of the snapshots (--verify).

    Exit codes: 1 the log is damaged or of other instruments, 3 a snapshot does not agree with it (--verify).

    Example: exchange replay --log-dir ./log --at 2026-11-20T10:15:23.456789 --instrument AAPL
    """
    from engine.tools.edge import open_log

    as_json = _as_json(output)
    questions = {"--at": at is not None, "--seq-num": seq_num is not None, "--trace": trace is not None, "--verify": verify}
    asked = [name for name, wanted in questions.items() if wanted]
    if len(asked) != 1:
        given = " and ".join(asked) or "nothing of the kind"
        raise VenueError(f"replay: expected one of --at, --seq-num, --trace and --verify, got {given}", hint="see exchange replay --help")
    log = open_log(_log_files(log_dir, state, instruments, limits, partitions))
    if verify:
        _verify(log, as_json)
    elif trace is not None:
        _trace(log, trace, zone, internal, as_json)
    else:
        _book(log, (at, seq_num), instrument, depth, orders, zone, as_json)


def _book(
    log: VenueLog, asked: tuple[str | None, int | None], symbol: str | None, depth: int, with_orders: bool, zone_name: str, as_json: bool
) -> None:
    from engine.tools.book import Moment, book_at, book_json, book_lines
    from engine.tools.when import moment_text, parse_moment, zone_of

    if symbol is None:
        raise VenueError("--instrument: expected the symbol of the book to show", hint="for example --instrument AAPL")
    at, seq_num = asked
    zone = zone_of(zone_name)
    ts_ns = parse_moment(at, zone) if at is not None and at != LAST else None
    view = book_at(log, symbol, Moment(ts_ns, seq_num), depth, with_orders, zone)
    named = moment_text(ts_ns, zone) if ts_ns is not None else ("the end of the log" if seq_num is None else f"seq_num {seq_num}")
    _print(book_json(view), book_lines(view, named, zone), as_json)


def _trace(log: VenueLog, order_id: int, zone_name: str, internal: bool, as_json: bool) -> None:
    from engine.tools.trace import life_json, life_lines, trace
    from engine.tools.when import zone_of

    zone = zone_of(zone_name)
    life = trace(log, order_id)
    _print(life_json(life, internal), life_lines(life, zone, internal), as_json)


def _verify(log: VenueLog, as_json: bool) -> None:
    from engine.tools.edge import EXIT_DIFFERENT
    from engine.tools.verify import check_json, check_lines, verify

    checks = verify(log)
    _print(check_json(checks), check_lines(checks), as_json)
    if any(check.problem for check in checks):
        raise typer.Exit(EXIT_DIFFERENT)


def snapshot(
    log_dir: LogDir = None,
    state: State = None,
    instruments: Instruments = None,
    limits: Limits = None,
    partitions: Partitions = None,
    keep: Annotated[int, typer.Option(min=1, max=1000, help="Newest snapshots to keep.")] = 3,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written; write nothing.")] = False,
    output: Output = "table",
) -> None:
    """Write a snapshot of what the log holds now, so that the next start is fast. The core that writes the log goes on.

    Example: exchange snapshot --log-dir ./log
    """
    from engine.tools.edge import open_log
    from engine.tools.snapshots import made_json, made_lines, make_snapshots, plan_snapshots, planned_json, planned_lines

    as_json = _as_json(output)
    if dry_run:
        planned = plan_snapshots(open_log(_log_files(log_dir, state, instruments, limits, partitions)))
        _print(planned_json(planned), planned_lines(planned), as_json)
        return
    made = make_snapshots(open_log(_log_files(log_dir, state, instruments, limits, partitions)), keep)
    _print(made_json(made), made_lines(made), as_json)


def verify_release(
    old: Annotated[str, typer.Argument(help="A wheel, an environment's or release's folder, a Python, or the word installed.")],
    new: Annotated[str, typer.Argument(help="The build to hold against it.")],
    log: Annotated[
        Path | None, typer.Option("--log", help="Folder of the order log to replay through both. Default: that of the venue in --state.")
    ] = None,
    state: State = None,
    instruments: Instruments = None,
    limits: Limits = None,
    partitions: Partitions = None,
    output: Output = "table",
) -> None:
    """Replay one log through two builds and show the first report that differs. Exit code 3 when there is one.

    Example: exchange verify-release installed ./dist/opsctl-1.1.0-cp311-cp311-linux_x86_64.whl --log ./log
    """
    from engine.tools.compare import Scope, compare, comparison_json, comparison_lines
    from engine.tools.edge import EXIT_DIFFERENT, last_seq_nums, open_log

    as_json = _as_json(output)
    files = _log_files(log, state, instruments, limits, partitions, "--log")
    found = compare(old, new, Scope(files, last_seq_nums(open_log(files))))
    _print(comparison_json(found), comparison_lines(found), as_json)
    if found.difference is not None:
        raise typer.Exit(EXIT_DIFFERENT)


def eod(
    date: Annotated[str, typer.Option(help="The trade date, as the sequenced end of day has it: 2026-11-20.")],
    log_dir: LogDir = None,
    csv: Annotated[Path | None, typer.Option(help="Write CSV files into this folder too.")] = None,
    settlement_days: Annotated[int, typer.Option(help="Business days from trade to settlement.")] = 1,
    holidays: Annotated[Path | None, typer.Option(help="Days without settlement, one date a line. Default: weekends only.")] = None,
    maker_rebate: Annotated[str, typer.Option(help="Money a share for an order that rested.")] = "0.002",
    taker_fee: Annotated[str, typer.Option(help="Money a share from an order that came in.")] = "0.003",
    state: State = None,
    instruments: Instruments = None,
    limits: Limits = None,
    partitions: Partitions = None,
    output: Output = "table",
) -> None:
    """Settle a trading day from the log: shares and money per firm, fees, what expired. Checks that all of it adds up.

    Exit codes: 1 the log is damaged or of other instruments, 2 it has no such day, 3 the day does not add up.

    Example: exchange eod --log-dir ./log --date 2026-11-20 --csv ./eod
    """
    from engine.tools.edge import note, open_log
    from engine.tools.eod import DaySettings, check_settlement_days, load_holidays, parse_rate, require_sums, settled_day
    from engine.tools.eod_text import day_json, day_lines, write_csv
    from engine.tools.settle import FeeRates
    from engine.tools.when import parse_date

    as_json = _as_json(output)
    rates = FeeRates(parse_rate(maker_rebate, "--maker-rebate"), parse_rate(taker_fee, "--taker-fee"))
    settings = DaySettings(rates, check_settlement_days(settlement_days), load_holidays(holidays))
    trade_date = parse_date(date)
    day = settled_day(open_log(_log_files(log_dir, state, instruments, limits, partitions)), trade_date, settings)
    _print(day_json(day), day_lines(day), as_json)
    require_sums(day)
    for path in write_csv(day, csv) if csv is not None else ():
        note(f"written: {path}")


@log_app.command("verify")
def log_verify(log_dir: LogDir = None, state: State = None, partitions: Partitions = None, output: Output = "table") -> None:
    """Read every record of a log and say what is wrong with it, if anything. Changes nothing, also beside a running core.

    Exit code 1 when a core would refuse to start on it, or no log is there. Exit code 4 when a core starts from a snapshot, and records
    before that are damaged: they cannot be replayed or settled any more. 0: good, or with a torn end that a start cuts.

    A log does not know how many partitions it has: give --partitions, or a missing last one is not missed.

    Example: exchange log verify --log-dir ./log
    """
    from engine.tools.logcheck import exit_code, verified, verified_json, verified_lines

    as_json = _as_json(output)
    found = [verified(folder) for folder in _folders(log_dir, state, partitions)]
    _print(verified_json(found), verified_lines(found), as_json)
    if code := exit_code(found):
        raise typer.Exit(code)


@log_app.command("repair")
def log_repair(
    log_dir: LogDir = None,
    state: State = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    partitions: Partitions = None,
    output: Output = "table",
) -> None:
    """Make a damaged log start again: mend what is certain, cut the rest off behind the last good record, and move snapshots that hold more
    than the log then does. What was there is kept in a folder beside it, DIR/damaged-<UTC>; records that are cut are lost.

    Refused, with exit code 1, while a snapshot makes the log start as it is: a repair would throw away records that the core reads.

    Restore from a backup or a standby instead when there is one: what is cut was answered to members.

    Example: exchange log repair --log-dir ./log --dry-run
    """
    from engine.logs import wall_clock_ns
    from engine.tools.edge import EXIT_LOG, note
    from engine.tools.logcheck import plan, plan_json, plan_lines, repair

    as_json = _as_json(output)
    plans = [plan(folder) for folder in _folders(log_dir, state, partitions)]
    needed = [one for one in plans if one.needed]
    impossible = [one for one in needed if not one.possible]
    if needed and not dry_run and not impossible:
        if not yes and not typer.confirm("\n".join([*plan_lines(plans), "", "Do that?"]), err=True):
            note("nothing was changed; a core still refuses to start on this log")
            raise typer.Exit(EXIT_LOG)
        plans = [repair(one, wall_clock_ns()) if one.needed else one for one in plans]
    _print(plan_json(plans), plan_lines(plans), as_json)
    if impossible or any(one.history_damaged for one in plans):
        raise typer.Exit(EXIT_LOG)


def _log_files(
    log_dir: Path | None,
    state: Path | None,
    instruments: Path | None,
    limits: Path | None,
    partitions: int | None,
    option: str = "--log-dir",
) -> LogFiles:
    from engine.tools.edge import LogFiles

    place = log_place(log_dir, instruments, state, option)
    return LogFiles(place.log_dir, place.instruments, limits, partitions, place.source)


def _folders(log_dir: Path | None, state: Path | None, partitions: int | None) -> tuple[Path, ...]:
    from engine.tools.edge import partition_folders

    place = log_place(log_dir, None, state)
    return partition_folders(place.log_dir, partitions, place.source)


def _as_json(output: str) -> bool:
    if output not in ("table", "json"):
        raise VenueError(f"--output: expected table or json, not {output!r}")
    return output == "json"


def _print(data: object, lines: Sequence[str], as_json: bool) -> None:
    typer.echo(json.dumps(data, indent=2) if as_json else "\n".join(lines))
