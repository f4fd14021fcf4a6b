"""`exchange control` from the command line to the frames on the core's link, and every way in which it can fail."""

import json
import socket

import pytest
from venue_parts import DIGEST, free_port

from engine import cli
from engine.config import VenueError
from engine.control import requests
from engine.control.link import ControlLink, Target
from engine.types import ALL_INSTRUMENTS, CommandKind, FirmLimits, RejectReason, SessionState, StpMode


@pytest.fixture
def exchange(monkeypatch, capsys):
    """Runs the command line in this process: (exit code, stdout, stderr)."""

    def run(*words):
        monkeypatch.setattr("sys.argv", ["exchange", "control", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return ended.value.code or 0, said.out, said.err

    return run


FRAMES = [
    (("session", "closed", "--all"), {"kind": CommandKind.SESSION, "instrument": ALL_INSTRUMENTS, "state": SessionState.CLOSED}),
    (("session", "halted", "--instrument", "MSFT"), {"kind": CommandKind.SESSION, "instrument": 1, "state": SessionState.HALTED}),
    (("halt", "GOOG"), {"kind": CommandKind.SESSION, "instrument": 2, "state": SessionState.HALTED}),
    (("kill", 7), {"kind": CommandKind.KILL, "firm": 7, "qty": 1}),
    (("kill", 7, "--off"), {"kind": CommandKind.KILL, "firm": 7, "qty": 0}),
    (("cancel-all", "--firm", 7), {"kind": CommandKind.MASS_CANCEL, "firm": 7, "instrument": ALL_INSTRUMENTS}),
    (("cancel-all", "--firm", 7, "--instrument", "AAPL"), {"kind": CommandKind.MASS_CANCEL, "firm": 7, "instrument": 0}),
    (("reference", "AAPL", "150.10"), {"kind": CommandKind.REFERENCE, "instrument": 0, "price_ticks": 15010}),
    (
        ("split", "AAPL", "2:1", "--dividend", "0.24"),
        {"kind": CommandKind.CORPORATE_ACTION, "instrument": 0, "qty": 2, "price_ticks": 1, "stop_price_ticks": 24},
    ),
    (("end-of-day", "--date", "2026-11-20"), {"kind": CommandKind.END_OF_DAY, "qty": 20261120}),
    (
        (
            "limits", "--firm", 7, "--max-order-quantity", 50, "--position-limit", 60, "--order-rate", 5,
            "--self-trade-prevention", "decrement",
        ),
        {
            "kind": CommandKind.LIMITS, "firm": 7, "qty": 50, "price_ticks": 60, "stop_price_ticks": 5, "order_id": 10,
            "stp": StpMode.DECREMENT,
        },
    ),
]  # fmt: skip
FIELDS = ("kind", "firm", "instrument", "price_ticks", "qty", "stop_price_ticks", "order_id", "stp", "state")


@pytest.mark.parametrize(("words", "fields"), FRAMES, ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else "")
def test_each_command_is_one_frame_with_its_fields_and_says_what_came_of_it(exchange, stand_in, words, fields):
    core = stand_in()
    code, out, err = exchange(*words, "--core", core.address, "--output", "json")
    assert (code, err) == (0, "")
    (frame,) = core.commands
    assert dict(zip(FIELDS, frame[2:], strict=True)) == dict.fromkeys(FIELDS, 0) | {name: int(value) for name, value in fields.items()}
    (row,) = json.loads(out)
    assert (row["seq_num"], row["count"]) == (1, 3)
    assert row["result"] == "done" if words[0] in ("limits", "reference") else row["result"].startswith("3 ")


@pytest.mark.parametrize(("count", "said"), [(0, "0 instruments changed"), (1, "1 instrument changed"), (2, "2 instruments changed")])
def test_one_of_something_is_not_called_many(exchange, stand_in, count, said):
    core = stand_in()
    core.plan[0] = {"order_qty": count}
    (row,) = json.loads(exchange("halt", "AAPL", "--core", core.address, "--output", "json")[1])
    assert row["result"] == said


def test_a_status_of_what_is_not_there_says_so(exchange, stand_in):
    code, out, err = exchange("status", "--core", stand_in().address)
    assert (code, out) == (6, "")
    assert "the link broke before the core told its state" in err
    code, out, err = exchange("status", "NONE", "--core", stand_in().address)
    assert (code, out) == (2, "")
    assert "NONE is not in" in err


@pytest.mark.parametrize(("words", "fields"), FRAMES, ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else "")
def test_a_dry_run_connects_to_nothing(exchange, words, fields):
    code, out, err = exchange(*words, "--core", f"127.0.0.1:{free_port()}", "--dry-run", "--output", "json")
    assert (code, err) == (0, "")
    (row,) = json.loads(out)
    assert row["result"] == "would be sent"
    assert str(words[0] if words[0] != "halt" else "session halted") in row["command"]


def test_the_table_shows_command_result_and_place_in_the_log(exchange, stand_in):
    code, out, _ = exchange("kill", 7, "--core", stand_in().address)
    assert code == 0
    for word in ("command", "result", "seq_num", "kill firm 7", "3 orders cancelled"):
        assert word in out


def test_a_limits_file_is_one_command_for_each_listed_firm(exchange, stand_in, tmp_path):
    file = tmp_path / "firms.yaml"
    file.write_text("default: {max_order_quantity: 100}\nfirms: {9: {order_rate: 5}, 7: {max_order_quantity: 50}}")
    core = stand_in()
    code, out, _ = exchange("limits", "--file", file, "--core", core.address, "--output", "json")
    assert code == 0
    assert [(frame[3], frame[6], frame[7], frame[8]) for frame in core.commands] == [(7, 50, 0, 0), (9, 100, 5, 10)]
    assert [row["seq_num"] for row in json.loads(out)] == [1, 2]


def test_a_refusal_in_the_middle_tells_what_was_done_before_it(exchange, stand_in, tmp_path):
    file = tmp_path / "firms.yaml"
    file.write_text("firms: {7: {}, 8: {}, 9: {}}")
    core = stand_in()
    core.plan[1] = {"status": 8, "reason": RejectReason.BAD_LIMITS, "value": 11, "limit": 10}
    code, out, err = exchange("limits", "--file", file, "--core", core.address, "--output", "json")
    assert (code, len(core.commands)) == (2, 2)
    assert [row["command"][:13] for row in json.loads(out)] == ["limits firm 7"]
    assert "limits firm 8" in err
    assert "11" in err
    assert "1 of 3 commands were done before" in err


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        ({"status": 8, "reason": RejectReason.WRONG_STATE, "value": 2, "limit": 4}, 2, "an instrument is continuous (TSLA)"),
        ({"status": 8, "reason": RejectReason.WRONG_STATE, "value": 2, "limit": 4}, 2, "next: close first"),
        ({"status": 8, "reason": RejectReason.LOG_UNAVAILABLE}, 6, "the order log cannot be written"),
        (None, 6, "the link broke before the answer came"),
        (None, 6, "look at the books"),
        (b"\xff" * 64, 6, "the link broke before the answer came"),
        (b"", 6, "no answer within 0.05 s"),
    ],
)
def test_what_the_core_refuses_or_leaves_open_is_said_with_what_to_do(exchange, stand_in, answer, code, says):
    core = stand_in()
    core.plan[0] = answer
    got, out, err = exchange("end-of-day", "--date", "2026-11-20", "--core", core.address, "--timeout", "50ms" if answer == b"" else "10s")
    assert (got, out) == (code, "")
    assert says in err
    assert "Traceback" not in err


def test_a_lost_answer_to_what_may_be_repeated_says_so(exchange, stand_in):
    core = stand_in()
    core.plan[0] = None
    assert "giving it again does no harm" in exchange("kill", 7, "--core", core.address)[2]


def test_answers_to_others_are_passed_over(stand_in):
    core = stand_in()
    core.plan[0] = {"request_id": 99}
    with pytest.raises(VenueError, match="no answer within"), ControlLink(Target("127.0.0.1", core.port, DIGEST, timeout_s=0.05)) as link:
        link.send(requests.kill(7))


def test_nobody_there_is_exit_6(exchange):
    code, _, err = exchange("kill", 7, "--core", f"127.0.0.1:{free_port()}")
    assert (code, "no core answers" in err) == (6, True)


def test_another_instrument_list_is_found_out_before_anything_is_sent(exchange, stand_in):
    core = stand_in(digest=DIGEST ^ 1)
    code, _, err = exchange("halt", "AAPL", "--core", core.address)
    assert (code, "another instrument list" in err, core.commands) == (2, True, [])


def test_a_wrong_link_key_is_told_and_never_shown(exchange, stand_in, tmp_path):
    core = stand_in(key="k" * 16)
    file = tmp_path / "link.key"
    for key, code in (("w" * 16, 6), ("k" * 16, 0)):
        file.write_text(key)
        file.chmod(0o600)
        got, out, err = exchange("kill", 7, "--core", core.address, "--link-key", file)
        assert got == code
        assert key not in out + err
    assert "w" * 16 not in repr(Target("h", 1, 2, "w" * 16))


def test_a_core_that_never_welcomes_is_given_up(stand_in):
    target = Target("127.0.0.1", stand_in(welcome=False).port, DIGEST, timeout_s=0.05)
    with pytest.raises(VenueError, match="does not answer as a core does"), ControlLink(target):
        pass


def test_something_else_on_the_port_is_no_core(stand_in):
    core = stand_in()
    core._answer = lambda frame: b"HTTP/1.1 400 Bad Request\r\n\r\n"
    with pytest.raises(VenueError, match="does not answer as a core does"), ControlLink(Target("127.0.0.1", core.port, DIGEST)):
        pass


def test_a_connection_is_closed_at_the_end_whatever_happens(stand_in):
    core = stand_in()
    with ControlLink(Target("127.0.0.1", core.port, DIGEST)) as link:
        held = link._socket
        assert link.epoch == 4
        assert link.send(requests.limits(7, FirmLimits())).count == 3
    assert held.fileno() == -1
    assert isinstance(held, socket.socket)


WHOLE = ("--firm", 7, "--max-order-quantity", 0, "--position-limit", 0, "--order-rate", 0, "--self-trade-prevention", "none")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("session", "open", "--all"), "STATE"),
        (("session", "closed"), "either --instrument SYMBOL or --all"),
        (("session", "closed", "--all", "--instrument", "AAPL"), "either --instrument SYMBOL or --all"),
        (("halt", "NOPE"), "NOPE is not in"),
        (("kill", 65536), "65535"),
        (("limits",), "expected --firm"),
        (("limits", "--firm", 7, "--file", "/nonexistent"), "limits file"),
        (("limits", "--file", "x", "--burst", 5), "--burst and --file"),
        (("limits", "--firm", 7, "--order-rate", 5), "--max-order-quantity, --position-limit, --self-trade-prevention would be none"),
        (("limits", "--firm", 7), "--order-rate"),
        (("kill", 7, "--core", "..:9001"), "no core answers"),
        (("kill", 7, "--core", f"127.0.0.1:{'9' * 5000}"), "--core"),
        (("limits", "--file", "/nonexistent.yaml"), "limits file"),
        (("limits", *WHOLE, "--burst", 5), "burst"),
        (("limits", *WHOLE, "--order-rate", 99_999_999), "order_rate"),
        (("reference", "AAPL", "150.105"), "PRICE"),
        (("split", "AAPL", "2"), "RATIO"),
        (("end-of-day", "--date", "today"), "--date"),
        (("kill", 7, "--output", "xml"), "--output"),
        (("kill", 7, "--core", "nowhere"), "--core"),
        (("kill", 7, "--timeout", "soon"), "--timeout"),
        (("kill", 7, "--link-key", "/nonexistent"), "link key"),
        (("kill", 7, "--instruments", "/nonexistent"), "instruments file"),
    ],
)
def test_a_users_mistake_is_exit_2_and_no_traceback(exchange, words, says):
    code, out, err = exchange(*words)
    assert (code, out) == (6 if "no core" in says else 2, "")
    assert says in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        (("--firm", 7, "--order-rate", 5), (50, 1000, 5, 10, StpMode.DECREMENT)),
        (("--firm", 9, "--order-rate", 5), (100, 0, 5, 10, StpMode.CANCEL_NEWEST)),
        (("--firm", 7, "--max-order-quantity", 0), (0, 1000, 20, 40, StpMode.DECREMENT)),
        (("--firm", 9), (100, 0, 20, 40, StpMode.CANCEL_NEWEST)),
    ],
    ids=["a listed firm", "a firm with the default", "a limit lifted", "back to the default"],
)
def test_one_limit_of_a_firm_is_changed_and_the_limits_file_has_the_others(exchange, stand_in, tmp_path, words, sent):
    file = tmp_path / "firms.yaml"
    file.write_text(
        "default: {max_order_quantity: 100, order_rate: 20, self_trade_prevention: cancel_newest}\n"
        "firms: {7: {max_order_quantity: 50, position_limit: 1000, self_trade_prevention: decrement}}"
    )
    core = stand_in()
    code, out, _ = exchange("limits", *words, "--file", file, "--core", core.address, "--output", "json")
    (frame,) = core.commands
    assert (code, frame[3]) == (0, words[1])
    assert (frame[6], frame[5], frame[7], frame[8], frame[9]) == sent
    assert "self_trade_prevention" in json.loads(out)[0]["command"]


def test_a_wrong_path_of_the_link_key_does_not_lead_to_making_another_one(exchange):
    _, _, err = exchange("kill", 7, "--link-key", "/nonexistent")
    assert "give the file that the core was started with" in err
    assert "openssl" not in err


def test_a_limits_file_without_firms_is_no_success(exchange, tmp_path):
    (tmp_path / "f.yaml").write_text("default: {max_order_quantity: 5}")
    assert exchange("limits", "--file", tmp_path / "f.yaml")[0] == 2


def test_every_command_shows_help_with_an_example(exchange):
    for name in ("session", "halt", "kill", "limits", "cancel-all", "reference", "split", "end-of-day"):
        code, out, _ = exchange(name, "--help")
        assert (code, f"Example: exchange control {name}" in " ".join(out.split())) == (0, True)
