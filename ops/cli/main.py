"""opsctl: the command line. One module per noun; each parses, calls a flow, prints. Heavy imports wait until a command runs."""

from __future__ import annotations

import sys

import typer

from ops.cli import budget, calendar, deploy, history, releases, slo, venue
from ops.conventions import ExitCode
from ops.errors import OpsError

TYPER_ABORTED = (1, 130)
EPILOG = """
Examples:  opsctl up --gateways 4  ·  opsctl releases build --version 1.1.0  ·  opsctl deploy 1.1.0 --canary 1%  ·
opsctl status  ·  opsctl rollback  ·  opsctl history show 1 --plot out.png  ·  opsctl down
"""

app = typer.Typer(
    name="opsctl",
    help="Run a trading venue: start it, ship releases that roll themselves back, see what happened.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
venue.register(app)
deploy.register(app)
releases.declared_in_use = venue.versions_in_use
app.add_typer(releases.app, name="releases")
app.add_typer(history.app, name="history")
app.add_typer(calendar.app, name="calendar")
app.add_typer(slo.app, name="slo")
budget.register(app)


def main() -> None:
    """Entry point. A user's mistake is told in two lines, without a traceback; the exit code says its kind (docs/exit-codes.md)."""
    try:
        app()
    except OpsError as error:
        _tell(error)
        sys.exit(int(error.exit_code))
    except SystemExit as ended:
        # Typer's own codes for Ctrl-C and for "no" at a question; exit code 1 is kept for faults of opsctl, which end with a traceback.
        sys.exit(int(ExitCode.ABORTED) if ended.code in TYPER_ABORTED else ended.code)


def _tell(error: OpsError) -> None:
    if {"json", "--json", "--output=json"} & set(sys.argv[1:]):
        from ops.cli.common import print_json

        print_json({"error": {"message": error.message, "hint": error.hint, "exit_code": int(error.exit_code)}})
    sys.stderr.write(f"error: {error.message}\n")
    if error.hint:
        sys.stderr.write(f"  next: {error.hint}\n")


if __name__ == "__main__":
    main()
