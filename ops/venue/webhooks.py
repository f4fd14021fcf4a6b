"""Where alerts are sent: addresses that a person gave, checked once, kept whole, and shown without what could be a secret.

An address of a chat or a pager carries its secret in the path as often as in `user:password@`, so only scheme, host and port are shown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from ops.errors import UsageError
from ops.venue.model import Request, Webhooks

TAKEN_AWAY = "none"
MAX_LENGTH = 2000
KEPT_ONLY = "nowhere: kept and shown only"
_URL = re.compile(r"https?://[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=%-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Receiver:
    """One address as Alertmanager takes it: credentials apart, so that its own status page hides the password."""

    url: str
    username: str
    password: str


def check(option: str, url: str) -> None:
    """Raises UsageError that says what is wrong without repeating the address."""
    if url == TAKEN_AWAY:
        return
    try:
        parts = urlsplit(url)
        whole = bool(_URL.fullmatch(url) and parts.hostname and parts.port != 0)
    except ValueError:  # a port that is none, brackets that do not close
        whole = False
    if not whole or len(url) > MAX_LENGTH:
        reason = f"expected http://HOST/... or https://HOST/..., plain ASCII, at most {MAX_LENGTH} characters"
        raise UsageError(f"{option}: {reason}", hint=f"{option} {TAKEN_AWAY} takes the present one away")
    if any(_CONTROL.search(unquote(part or "")) for part in (parts.username, parts.password)):
        raise UsageError(f"{option}: the credentials hold a control character", hint="write them without")


def asked(present: Webhooks, request: Request) -> Webhooks:
    """What holds after this `up`: what was said now, else what was said before."""

    def one(said: str | None, before: str) -> str:
        return before if said is None else "" if said == TAKEN_AWAY else said

    return Webhooks(one(request.page_webhook, present.page), one(request.ticket_webhook, present.ticket))


def masked(url: str) -> str:
    """'https://me:secret@hooks.example/T0/B1' -> 'https://hooks.example/...'; for '' that nothing is sent."""
    if not url:
        return KEPT_ONLY
    parts = urlsplit(url)
    more = "/..." if parts.path.strip("/") or parts.query or parts.username else ""
    return f"{parts.scheme}://{_place(parts)}{more}"


def receiver(url: str) -> Receiver | None:
    """None for ''."""
    if not url:
        return None
    parts = urlsplit(url)
    bare = parts._replace(netloc=_place(parts), fragment="").geturl()
    return Receiver(bare, unquote(parts.username or ""), unquote(parts.password or ""))


def _place(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]
