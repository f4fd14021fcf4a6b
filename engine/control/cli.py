"""The commands of `exchange control`. What they need is imported when one of them runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from engine.control.run import Build

CORE = "127.0.0.1:9001"

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="See and run the trading day: states, sessions, halts, limits, the kill switch, corporate actions, the end of the day.\n\n"
    "Each command goes to the core over its link and into its log, in order with the members' orders. The answer says the command's "
    "place in the log (seq_num; of a command to several partitions the largest of its places) and how much it touched.\n\n"
    "Without options the core is the one of the venue that `opsctl up` started, if one stands in the default state folder.\n\n"
    "Exit codes: 0 done, 2 bad option or refused, 6 no core answers, or no answer came.\n\n"
    "Example: exchange control session halted --instrument AAPL\n\n"
    "Example: exchange control session closed --all --core 127.0.0.1:9001 --link-key link.key",
)

State = Annotated[
    Path | None,
    typer.Option(
        "--state",
        help="State folder of a venue that `opsctl up` started: its core, link key and instruments. When neither it nor one of those is "
        "given, it is looked for in $OPSCTL_STATE, then in ~/.local/state/opsctl.",
    ),
]
Core = Annotated[
    str | None, typer.Option("--core", help=f"HOST:PORT of the core's link. Default: that of the venue in --state, else {CORE}.")
]
LinkKey = Annotated[
    Path | None,
    typer.Option("--link-key", help="File with the link's secret, mode 0600. Default: that of the venue in --state, else none."),
]
Instruments = Annotated[
    Path | None, typer.Option("--instruments", help="The core's own list. Default: that of the venue in --state, else the packaged list.")
]
Output = Annotated[str, typer.Option("--output", "-o", help="table or json, on stdout.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be sent; connect to nothing.")]
Timeout = Annotated[str, typer.Option("--timeout", help="How long each answer may take.")]
Symbol = Annotated[str | None, typer.Option("--instrument", help="One instrument's symbol.")]
Every = Annotated[bool, typer.Option("--all", help="Every instrument.")]
Firm = Annotated[int, typer.Option("--firm", min=0, max=65535, help="The firm's number.")]


@app.command()
def status(
    symbols: Annotated[list[str] | None, typer.Argument(help="Instruments. None: all.")] = None,
    state_folder: State = None,
    core: Core = None,
    link_key: LinkKey = None,
    instruments: Instruments = None,
    output: Output = "table",
    timeout: Timeout = "10s",
) -> None:
    """Show each instrument: its session state, whether a limit state runs, best prices, last trade, what an uncross would do now.

    Changes nothing. Example: exchange control status AAPL MSFT
    """
    from engine.control.run import ControlOptions  # noqa: PLC0415
    from engine.control.status import run_status  # noqa: PLC0415

    run_status(ControlOptions(state_folder, core, link_key, instruments, output, False, timeout), symbols or [])


@app.command()
def session(
    state: Annotated[str, typer.Argument(help="pre_open, opening_auction, continuous, halted, closing_auction or closed.")],
    instrument: Symbol = None,
    every: Every = False,
    state_folder: State = None,
    core: Core = None,
    link_key: LinkKey = None,
    instruments: Instruments = None,
    output: Output = "table",
    dry_run: DryRun = False,
    timeout: Timeout = "10s",
) -> None:
    """Move instruments to a session state. Leaving an auction uncrosses it; closing expires day orders.

    Example: exchange control session opening_auction --all
    """
    from engine.control import requests  # noqa: PLC0415 - as the module says

    _run(
        (state_folder, core, link_key, instruments), output, dry_run, timeout,
        lambda known: [requests.session(state, known.one_or_all(instrument, every))],
    )  # fmt: skip


@app.command()
def halt(
    symbol: Annotated[str, typer.Argument(help="The instrument.")],
    state_folder: State = None,
    core: Core = None,
    link_key: LinkKey = None,
    instruments: Instruments = None,
    output: Output = "table",
    dry_run: DryRun = False,
    timeout: Timeout = "10s",
) -> None:
    """Halt one instrument: no trade until a session command ends it. Orders may be entered, to rest, and cancelled.

    Example: exchange control halt AAPL
    """
    from engine.control import requests  # noqa: PLC0415

    _run((state_folder, core, link_key, instruments), output, dry_run, timeout, lambda known: [requests.session("halted", known[symbol])])


@app.command()
def kill(
    firm: Annotated[int, typer.Argument(min=0, max=65535, help="The firm's number.")],
    off: Annotated[bool, typer.Option("--off", help="Let the firm trade again.")] = False,
    state_folder: State = None,
    core: Core = None,
    link_key: LinkKey = None,
    instruments: Instruments = None,
    output: Output = "table",
    dry_run: DryRun = False,
    timeout: Timeout = "10s",
) -> None:
    """Block a firm: cancel all that rests of it, and refuse its orders and amendments until --off.

    Example: exchange control kill 7
    """
    from engine.control import requests  # noqa: PLC0415

    _run((state_folder, core, link_key, instruments), output, dry_run, timeout, lambda _: [requests.kill(firm, off=off)])


@app.command()
def limits(
    firm: Annotated[
        int | None,
        typer.Option(
            "--firm",
            min=0,
            max=65535,
            help="Set this firm's limits, all five: by the options, the rest by --file.",
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="Set the limits of every firm that this firms.yaml lists; with --firm, of that one.")
    ] = None,
    max_order_quantity: Annotated[int | None, typer.Option(help="Shares of one order. 0: no limit.")] = None,
    position_limit: Annotated[int | None, typer.Option(help="Net shares per instrument, with all that rests. 0: no limit.")] = None,
    order_rate: Annotated[int | None, typer.Option(help="Orders per second. 0: no limit.")] = None,
    burst: Annotated[int | None, typer.Option(help="Orders at once. Not given: twice the rate.")] = None,
    self_trade_prevention: Annotated[str | None, typer.Option(help="none, cancel_newest, cancel_oldest or decrement.")] = None,
    state_folder: State = None,
    core: Core = None,
    link_key: LinkKey = None,
    instruments: Instruments = None,
    output: Output = "table",
    dry_run: DryRun = False,
    timeout: Timeout = "10s",
) -> None:
    """Set what firms may do. A firm's limits are replaced as a whole, whatever they were: with --firm give all of them, or the limits
    file from which to take those that are not given: the firm's own line, else the default.

    Example: exchange control limits --firm 7 --order-rate 100 --file limits.yaml

    Example: exchange control limits --firm 7 --max-order-quantity 5000 --position-limit 0 --order-rate 100
    --self-trade-prevention cancel_newest
    """
    from engine.control.run import limit_requests  # noqa: PLC0415

    values: dict[str, object] = {
        "max_order_quantity": max_order_quantity, "position_limit": position_limit, "order_rate": order_rate, "burst": burst,
        "self_trade_prevention": self_trade_prevention,
    }  # fmt: skip
    _run((state_folder, core, link_key, instruments), output, dry_run, timeout, lambda _: limit_requests(firm, file, values))


@app.command("cancel-all")
def cancel_all(
    firm: Firm,
    instrument: Symbol = None,
    state_folder: State = None,
    core: Core = None,
    link_key: LinkKey = None,
    instruments: Instruments = None,
    output: Output = "table",
    dry_run: DryRun = False,
    timeout: Timeout = "10s",
) -> None:
    """Cancel all that rests of a firm, everywhere or in one instrument. The firm may go on trading.

    Example: exchange control cancel-all --firm 7 --instrument AAPL
    """
    from engine.control import requests  # noqa: PLC0415

    _run(
        (state_folder, core, link_key, instruments), output, dry_run, timeout,
        lambda known: [requests.cancel_all(firm, known[instrument] if instrument is not None else None)],
    )  # fmt: skip


@app.command()
def reference(
    symbol: Annotated[str, typer.Argument(help="The instrument.")],
    price: Annotated[str, typer.Argument(help="A multiple of the instrument's tick, for example 150.10.")],
    state_folder: State = None,
    core: Core = None,
    link_key: LinkKey = None,
    instruments: Instruments = None,
    output: Output = "table",
    dry_run: DryRun = False,
    timeout: Timeout = "10s",
) -> None:
    """Set the price around which an instrument's price band lies.

    Example: exchange control reference AAPL 150.10
    """
    from engine.control import requests  # noqa: PLC0415

    _run((state_folder, core, link_key, instruments), output, dry_run, timeout, lambda known: [requests.reference(known[symbol], price)])


@app.command()
def split(
    symbol: Annotated[str, typer.Argument(help="The instrument; it must be closed.")],
    ratio: Annotated[str, typer.Argument(help="NEW:OLD shares, for example 2:1.")],
    dividend: Annotated[str | None, typer.Option(help="Money a (new) share, taken off every price. Default: none.")] = None,
    state_folder: State = None,
    core: Core = None,
    link_key: LinkKey = None,
    instruments: Instruments = None,
    output: Output = "table",
    dry_run: DryRun = False,
    timeout: Timeout = "10s",
) -> None:
    """Apply a split, a dividend or both to a closed instrument: its orders, its members' positions, its reference.

    Example: exchange control split AAPL 2:1 --dividend 0.24
    """
    from engine.control import requests  # noqa: PLC0415

    _run(
        (state_folder, core, link_key, instruments),
        output,
        dry_run,
        timeout,
        lambda known: [requests.split(known[symbol], ratio, dividend)],
    )


@app.command("end-of-day")
def end_of_day(
    date: Annotated[str, typer.Option("--date", help="The trade date, for example 2026-11-20.")],
    state_folder: State = None,
    core: Core = None,
    link_key: LinkKey = None,
    instruments: Instruments = None,
    output: Output = "table",
    dry_run: DryRun = False,
    timeout: Timeout = "10s",
) -> None:
    """Settle the day once every instrument is closed: one settlement per firm and instrument, then fresh day figures.

    Example: exchange control end-of-day --date 2026-11-20
    """
    from engine.control import requests  # noqa: PLC0415

    _run((state_folder, core, link_key, instruments), output, dry_run, timeout, lambda _: [requests.end_of_day(date)])


def _run(where: tuple[Path | None, str | None, Path | None, Path | None], output: str, dry_run: bool, timeout: str, build: Build) -> None:
    """`where`: --state, --core, --link-key and --instruments, as given."""
    from engine.control.run import ControlOptions, run_control  # noqa: PLC0415

    raise typer.Exit(run_control(ControlOptions(*where, output, dry_run, timeout), build))
