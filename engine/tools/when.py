"""Moments as people write them, and as the log counts them: nanoseconds since the Unix epoch, as an integer all the way."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from engine.config import VenueError

NS_PER_S = 1_000_000_000
MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s*(Z|z|[+-]\d\d:?\d\d)?")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_NS = (1 << 63) - 1
"""Times of the log are 64 bits wide: from 1677-09-21 to 2262-04-11."""
MOMENT_HINT = "write 2026-11-20T10:15:23.456789, with Z or +02:00 behind it for another zone than --zone"


def zone_of(name: str) -> tzinfo:
    """An IANA zone. Raises VenueError when this machine does not know it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise VenueError(f"--zone: no time zone {name!r} is known here", hint="for example UTC or America/New_York") from None


def parse_moment(text: str, zone: tzinfo, option: str = "--at") -> int:
    """Nanoseconds since the epoch. Up to nine decimals are exact; a moment without an offset is one of `zone`.

    Raises VenueError naming the option: not a moment, no such date, or a moment that the zone's clock shows never or twice.
    """
    match = MOMENT.fullmatch(text.strip())
    if not match:
        raise VenueError(f"{option}: expected a moment, not {text!r}", hint=MOMENT_HINT)
    day, hour, minute, second, fraction, offset = match.groups()
    try:
        naive = datetime.fromisoformat(f"{day}T{hour}:{minute}:{second or '00'}")
    except ValueError as error:
        raise VenueError(f"{option}: there is no moment {text!r}: {error}", hint=MOMENT_HINT) from None
    try:
        aware = naive.replace(tzinfo=_offset(offset, option)) if offset else _in_zone(naive, zone, option)
        ts_ns = _whole_seconds(aware) * NS_PER_S + int((fraction or "").ljust(9, "0"))
    except OverflowError:  # at the calendar's own ends
        ts_ns = MAX_NS + 1
    if not -MAX_NS <= ts_ns <= MAX_NS:
        raise VenueError(f"{option}: a log has moments from 1677-09-22 to 2262-04-11, not {text!r}", hint=MOMENT_HINT)
    return ts_ns


def _offset(text: str, option: str) -> tzinfo:
    if text in "Zz":
        return UTC
    hours, minutes = int(text[1:3]), int(text[-2:])
    if hours > 23 or minutes > 59:
        raise VenueError(f"{option}: expected an offset from -23:59 to +23:59, not {text!r}", hint=MOMENT_HINT)
    sign = -1 if text[0] == "-" else 1
    return timezone(sign * timedelta(hours=hours, minutes=minutes))


def _in_zone(naive: datetime, zone: tzinfo, option: str) -> datetime:
    """The clocks of most zones skip an hour once a year and show one twice: neither may be guessed."""
    first, second = naive.replace(tzinfo=zone, fold=0), naive.replace(tzinfo=zone, fold=1)
    if first.utcoffset() == second.utcoffset():
        return first
    there = first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == naive
    what = "twice" if there else "never"
    raise VenueError(f"{option}: the clocks of {zone} show {naive.isoformat()} {what}", hint="give the offset from UTC, for example +02:00")


def _whole_seconds(moment: datetime) -> int:
    since = moment - EPOCH
    return since.days * 86_400 + since.seconds


def moment_text(ts_ns: int, zone: tzinfo = UTC) -> str:
    """With all nine decimals and the zone's offset; Z for UTC. A number that no calendar has stays a number."""
    seconds, rest = divmod(ts_ns, NS_PER_S)
    try:
        moment = (EPOCH + timedelta(seconds=seconds)).astimezone(zone)
    except OverflowError:
        return f"{ts_ns} ns"
    offset = moment.strftime("%z")
    suffix = "Z" if zone is UTC or offset == "+0000" else f"{offset[:3]}:{offset[3:5]}"
    return f"{moment.strftime('%Y-%m-%dT%H:%M:%S')}.{rest:09d}{suffix}"


def parse_date(text: str, option: str = "--date") -> date:
    """`YYYY-MM-DD`. Raises VenueError naming the option."""
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text.strip()):
            return date.fromisoformat(text.strip())
    except ValueError:
        pass
    raise VenueError(f"{option}: expected a date, not {text!r}", hint="write it as 2026-11-20")


def as_yyyymmdd(day: date) -> int:
    """How a sequenced end_of_day names its day."""
    return day.year * 10_000 + day.month * 100 + day.day


def from_yyyymmdd(number: int) -> str:
    """For people; a number that is no date stays a number."""
    try:
        return date(number // 10_000, number // 100 % 100, number % 100).isoformat()
    except ValueError:
        return str(number)
