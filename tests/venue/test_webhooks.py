"""Addresses of webhooks: bad ones are refused without being repeated, good ones are remembered whole and shown without secrets."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.errors import UsageError
from ops.venue import decide, webhooks
from ops.venue.files import change, load, save
from ops.venue.model import Request, Webhooks


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("https://hooks.example/", "https://hooks.example"),
        ("https://hooks.example/T0SECRET/B1", "https://hooks.example/..."),
        ("https://hooks.example?token=SECRET", "https://hooks.example/..."),
        ("https://me:SECRET@hooks.example:8443/x", "https://hooks.example:8443/..."),
        ("https://me:SECRET@[2001:db8::1]:8443/x", "https://[2001:db8::1]:8443/..."),
        ("", "nowhere: kept and shown only"),
    ],
)
def test_only_scheme_host_and_port_are_shown(url: str, shown: str) -> None:
    assert webhooks.masked(url) == shown
    if url:
        webhooks.check("--page-webhook", url)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://hooks.example/SECRET", "file:///etc/SECRET", "hooks.example/SECRET", "", "http://", "http:///SECRET", "http://x:0/SECRET",
        "http://x:99999/SECRET", "http://x/SE CRET", 'http://x/"SECRET', "http://x/SECRET\n  url: y", "http://x/{{SECRET}}", "http://[::1/SECRET",
        "http://münchen.example/SECRET", "http://x/\\SECRET", "http://me:SECRET%0a@x/", "http://x/#" + "SECRET" * 400,
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(UsageError, match="--ticket-webhook") as refused:
        webhooks.check("--ticket-webhook", url)
    assert "SECRET" not in refused.value.message + refused.value.hint


def test_credentials_are_told_to_alertmanager_apart_from_the_address() -> None:
    found = webhooks.receiver("https://me:p%22%40ss@hooks.example:8443/x?y=1#z")
    assert found == webhooks.Receiver("https://hooks.example:8443/x?y=1", "me", 'p"@ss')
    assert webhooks.receiver("") is None


def test_what_was_said_before_holds_until_something_else_is_said() -> None:
    before = Webhooks("http://a", "http://b")
    assert webhooks.asked(before, Request()) == before
    assert webhooks.asked(before, Request(page_webhook="http://c")) == Webhooks("http://c", "http://b")
    assert webhooks.asked(before, Request(ticket_webhook="none")) == Webhooks("http://a", "")


def test_they_are_remembered_and_a_file_of_before_there_were_any_has_none(tmp_path: Path) -> None:
    save(tmp_path, decide.new_venue(Request(gateways=1), tmp_path, "1.0.0", lambda _port: True))
    hooks = Webhooks("https://me:SECRET@hooks.example/x", "http://b")
    made = change(tmp_path, lambda venue: replace(venue, webhooks=hooks))
    assert load(tmp_path) == made
    assert made.webhooks == hooks
    assert "SECRET" not in repr(made)
    data = json.loads((tmp_path / "venue.json").read_text())
    (tmp_path / "venue.json").write_text(json.dumps(data | {"webhooks": {"page": 1}}))
    with pytest.raises(UsageError, match="page: expected text"):
        load(tmp_path)
    del data["webhooks"]
    (tmp_path / "venue.json").write_text(json.dumps(data))
    assert load(tmp_path) == replace(made, webhooks=Webhooks())


@given(st.text(max_size=40))
def test_no_text_at_all_breaks_the_check(text: str) -> None:
    try:
        webhooks.check("--page-webhook", f"http://{text}")
    except UsageError:
        return
    assert "\n" not in webhooks.masked(f"http://{text}")
