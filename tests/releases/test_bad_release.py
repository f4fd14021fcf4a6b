"""The demo's bad release stays what it says it is: the patch applies to this tree, and breaks a fifth of all prices."""

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from demo.bad_release import PATCH, make_source
from ops.adapters.release_source import look
from ops.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]

PROBE = """
import json, sys
sys.path.append(sys.argv[1])
from engine.config import default_instruments_path, load_instruments
from engine.gateway import parse
from engine.gateway.model import NewOrder, listings
market = listings(load_instruments(default_instruments_path()))
failed = []
for cents in range(100):
    order = {"instrument": "AAPL", "side": "buy", "type": "limit", "price": f"150.{cents:02}", "quantity": 1}
    try:
        assert isinstance(parse.parse_new_order(json.dumps(order).encode(), market), NewOrder)
    except ZeroDivisionError:
        failed.append(cents)
print(json.dumps({"failed": failed, "file": parse.__file__}))
"""


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    return make_source(ROOT, tmp_path_factory.mktemp("bad") / "source")


def test_every_fifth_price_fails_in_the_patched_tree(bad):
    # -S: without site's hooks, of which one leads `engine` to the checkout when it is installed editable.
    command = [sys.executable, "-S", "-c", PROBE, sysconfig.get_path("purelib")]
    done = subprocess.run(command, cwd=bad, capture_output=True, text=True, timeout=60, check=True)
    said = json.loads(done.stdout)
    assert said["failed"] == list(range(0, 100, 5))
    assert said["file"] == str(bad / "engine/gateway/parse.py")


def test_the_patch_touches_the_gateways_parser_only(bad):
    touched = [line for line in (ROOT / PATCH).read_text().splitlines() if line.startswith("+++ ")]
    assert touched == ["+++ b/engine/gateway/parse.py"]
    assert look(bad).digest != look(ROOT).digest


def test_no_product_code_knows_of_it():
    product = [path for folder in ("engine", "ops") for path in (ROOT / folder).rglob("*.py")]
    assert [path.name for path in product if "bad-release" in path.read_text() or "bad_release" in path.read_text()] == []


def test_the_same_checkout_gives_the_same_source_again(bad, tmp_path):
    copy = make_source(ROOT, tmp_path / "copy")
    assert look(make_source(ROOT, copy)).digest == look(copy).digest


def test_a_folder_that_is_no_copy_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(UsageError):
        make_source(ROOT, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "precious"
