"""Orders from a CSV file. Columns: instrument, side, type, price, quantity, and optionally stop_price, time_in_force, client_order_id.

Each row passes through the gateway's own parser before anything is sent, so a bad row costs nothing and its error names
file, line and field. `price` and `stop_price` are empty where the type has none.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from engine.config import VenueError
from engine.flow.model import Add
from engine.gateway.model import Market, Refusal
from engine.gateway.parse import parse_new_order

REQUIRED = ("instrument", "side", "type", "price", "quantity")
OPTIONAL = ("stop_price", "time_in_force", "client_order_id")
MAX_ROWS = 10_000_000


def load_csv(path: Path, market: Market) -> tuple[Add, ...]:
    """Raises VenueError naming file, line and field; a file without a row is an error too."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            adds = tuple(_adds(csv.DictReader(file, strict=True), str(path), market))
    except OSError as error:
        raise VenueError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise VenueError(f"{path} is not UTF-8 text") from error
    if not adds:
        raise VenueError(f"{path}: no orders below the header line", hint=f"columns: {', '.join((*REQUIRED, *OPTIONAL))}")
    return adds


def _adds(reader: csv.DictReader[str], source: str, market: Market) -> Iterator[Add]:
    try:
        _check_header(tuple(reader.fieldnames or ()), source)
        for row in reader:
            yield _add(row, f"{source}:{reader.line_num}", market)
    except csv.Error as error:
        raise VenueError(f"{source}:{reader.line_num}: not valid CSV: {error}") from error


def _check_header(names: tuple[str, ...], source: str) -> None:
    hint = f"the first line names the columns: {', '.join(REQUIRED)}, and if wanted {', '.join(OPTIONAL)}"
    for name in REQUIRED:
        if name not in names:
            raise VenueError(f"{source}:1: {name}: column missing", hint=hint)
    for name in names:
        if name not in (*REQUIRED, *OPTIONAL) or names.count(name) > 1:
            raise VenueError(f"{source}:1: {name}: unknown column or twice the same", hint=hint)


def _add(row: Mapping[str | None, str | list[str] | None], where: str, market: Market) -> Add:
    if None in row:
        raise VenueError(f"{where}: more cells than columns")
    cells = {str(name): str(value or "").strip() for name, value in row.items()}
    order: dict[str, object] = {name: cells[name] for name in ("instrument", "side", "type")}
    order |= {name: cells[name] for name in ("price", *OPTIONAL) if cells.get(name)}
    if not cells["quantity"].isascii() or not cells["quantity"].isdigit() or len(cells["quantity"]) > 18:
        raise VenueError(f"{where}: quantity: expected a whole number, not {cells['quantity']!r}")
    order["quantity"] = int(cells["quantity"])
    parsed = parse_new_order(json.dumps(order).encode(), market)
    if isinstance(parsed, Refusal):
        raise VenueError(f"{where}: {parsed.field or 'row'}: {parsed.message}")
    text = parsed.listing.price_text
    return Add(
        symbol=cells["instrument"],
        side=cells["side"],
        ord_type=cells["type"],
        price=text(parsed.price_ticks) if cells["price"] else None,
        qty=parsed.qty,
        time_in_force=cells.get("time_in_force") or None,
        client_order_id=cells.get("client_order_id") or None,
        stop_price=text(parsed.stop_price_ticks) if cells.get("stop_price") else None,
    )
