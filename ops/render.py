"""Configuration files of the programs around the venue: frozen data in, text out. No file is written here.

Every value is checked before it is put into a file: supervisord's, HAProxy's and Prometheus' files quote in different
ways, so a character that means something in any of them is refused instead of being escaped three times.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops.conventions import Pool
from ops.errors import UsageError

if TYPE_CHECKING:
    from jinja2 import Environment

_SAFE = re.compile(r"[\w ./:@+,=~*{}\[\]-]*")


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One program under the supervisor. `argv` is run as it is: no shell, no expansion."""

    name: str
    argv: tuple[str, ...]
    stop_wait_s: int = 5
    """From SIGTERM to SIGKILL."""
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Server:
    """One gateway as HAProxy sees it; it has the same name in both backends."""

    name: str
    pool: Pool
    http_port: int
    binary_port: int


@dataclass(frozen=True, slots=True)
class HaproxyFile:
    """What haproxy.cfg says, weights apart."""

    socket: Path
    errors: Path
    """Folder of the error answers."""
    http_port: int
    binary_port: int
    metrics_port: int
    servers: tuple[Server, ...]


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """What HAProxy itself answers when no gateway did. `code` is one of the API's own codes."""

    status: int
    reason: str
    code: str
    message: str
    retry_after_s: int | None = None


ERROR_ANSWERS = (
    ErrorAnswer(400, "Bad Request", "bad_request", "the request is not valid HTTP"),
    ErrorAnswer(403, "Forbidden", "permission_denied", "the request is not allowed"),
    ErrorAnswer(408, "Request Timeout", "request_timeout", "the request did not arrive in time"),
    ErrorAnswer(500, "Internal Server Error", "internal_error", "the traffic splitter failed"),
    ErrorAnswer(502, "Bad Gateway", "outcome_unknown", "the gateway went away before it answered; look for the order first"),
    ErrorAnswer(503, "Service Unavailable", "core_unavailable", "no gateway can take requests now; nothing was sent to the venue", 1),
    ErrorAnswer(504, "Gateway Timeout", "outcome_unknown", "the gateway did not answer in time; look for the order first"),
)
"""502 and 504 come after the request was handed to a gateway, so the order may stand; 503 comes before."""


def render(template: str, **values: Any) -> str:
    """The text of `ops/templates/<template>`. Raises UsageError for a value that cannot be written safely."""
    return _environment().get_template(template).render(**values)


def haproxy_cfg(file: HaproxyFile, weights: dict[str, int]) -> str:
    """haproxy.cfg with one weight, 0 to 256, for every server."""
    return render("haproxy.cfg.j2", file=file, weights=weights, answers=ERROR_ANSWERS)


def error_file(answer: ErrorAnswer) -> str:
    """A whole HTTP/1.1 answer with the API's error body, as HAProxy's `errorfile` wants it."""
    return render("error.http.j2", answer=answer).replace("\n", "\r\n").rstrip("\r\n") + "\r\n"


def supervisord_conf(processes: tuple[ProcessSpec, ...], socket: Path, pidfile: Path, logs: Path, files_soft_limit: int) -> str:
    """supervisord.conf: one group per program, so that each is added, removed and restarted alone."""
    assert processes, "a supervisor without programs"
    return render("supervisord.conf.j2", processes=processes, socket=socket, pidfile=pidfile, logs=logs, minfds=files_soft_limit)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - 50 ms that `--help` need not pay

    folder = Path(__file__).with_name("templates")
    made = Environment(  # noqa: S701 - configuration files, not HTML; `plain` is the guard
        loader=FileSystemLoader(folder), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    made.filters.update(plain=plain, words=_words)
    return made


def plain(value: object) -> str:
    """The value itself. Raises UsageError when it has a character that a configuration file could take for its own."""
    text = str(value)
    if not _SAFE.fullmatch(text):
        odd = next(c for c in text if not _SAFE.fullmatch(c))
        raise UsageError(f"{text!r} has the character {odd!r}, which configuration files cannot carry", hint="use another folder or name")
    return text


def _words(argv: tuple[str, ...]) -> str:
    """An argument list as supervisord reads it back: every word in double quotes."""
    return " ".join(f'"{plain(word)}"' for word in argv)
