"""Aligned columns, prices and money as exact decimals."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal

EXACT = Context(prec=60)
"""More digits than the product of any two 64-bit integers and a tick size has."""
AVERAGE_EXTRA_DECIMALS = 6


def decimals_of(tick_size: Decimal) -> int:
    """How many decimals a price of this tick size is written with."""
    exponent = tick_size.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def price_of(ticks: int, tick_size: Decimal) -> Decimal:
    """Ticks (or ticks times shares) as exact money."""
    return EXACT.multiply(Decimal(ticks), tick_size)


def price_text(ticks: int, tick_size: Decimal) -> str:
    """With the decimals of the tick size, never fewer: 15010 at 0.01 is 150.10."""
    return f"{price_of(ticks, tick_size):.{decimals_of(tick_size)}f}"


def average_text(cum_notional: int, cum_qty: int, tick_size: Decimal) -> str:
    """The average price; `-` without a trade, and with a `~` in front when its decimals do not end here."""
    if cum_qty == 0:
        return "-"
    places = decimals_of(tick_size)
    total = price_of(cum_notional, tick_size)
    for digits in range(places, places + AVERAGE_EXTRA_DECIMALS + 1):
        quotient = EXACT.divide(total, Decimal(cum_qty)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN, EXACT)
        if EXACT.multiply(quotient, Decimal(cum_qty)) == total:
            return f"{quotient:f}"
    return f"~{quotient:f}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int] = ()) -> list[str]:
    """Lines of aligned columns, two blanks apart. Right-aligned but for the columns in `left`. Without rows: the header alone."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = []
    for row in (header, *rows):
        cells = [
            cell.ljust(width) if column in left else cell.rjust(width) for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def number_text(number: int) -> str:
    """Grouped by thousands, for people."""
    return f"{number:,}"


def lower(kind: type, value: int) -> str:
    """The name of an enum's value in words; a number that this version has no name for stays a number."""
    try:
        name: str = kind(value).name
    except ValueError:
        return str(value)
    return name.lower().replace("_", " ")


def count_text(number: int, noun: str) -> str:
    """`1 order`, `2 orders`."""
    return f"{number_text(number)} {noun}" + ("" if number == 1 else "s")
