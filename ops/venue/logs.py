"""Lines of a process's log, for a person: JSON lines become `time level event k=v`, other lines stay as they are."""

from __future__ import annotations

import json
from typing import Any

_TIMES, _LEVELS, _EVENTS = ("ts", "time"), ("level",), ("event", "msg")
"""The venue's own names, and those of Prometheus and Alertmanager."""


def readable(line: str) -> str:
    """One line. Control characters do not reach the terminal."""
    try:
        fields = json.loads(line) if line.startswith("{") else None
    except (ValueError, RecursionError):
        fields = None
    return _clean(_sentence(dict(fields)) if isinstance(fields, dict) else line)


def _sentence(fields: dict[str, Any]) -> str:
    time, level, event = (_take(fields, names) for names in (_TIMES, _LEVELS, _EVENTS))
    rest = " ".join(f"{name}={_value(value)}" for name, value in fields.items())
    return f"{time} {level.upper():<7} {event} {rest}".rstrip()


def _take(fields: dict[str, Any], names: tuple[str, ...]) -> str:
    return next((str(fields.pop(name)) for name in names if name in fields), "-")


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return json.dumps(text) if not text or any(c.isspace() or c in '"=' for c in text) else text


def _clean(text: str) -> str:
    return "".join(c if c.isprintable() or c == "\t" else f"\\x{ord(c):02x}" for c in text)
