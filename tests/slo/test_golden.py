"""The rules of a small spec of every kind, as committed: a change of the generator shows as a change of text that a person reads.

To renew after a change that is meant: `python -m tests.slo.test_golden`, then read the difference.
"""

import sys
from pathlib import Path

from ops.slo import alertmanager, parse, rulefile, rules

FOLDER = Path(__file__).resolve().parent.parent / "golden" / "slo"
HEADER = "Expected by tests/slo/test_golden.py, which says how to renew it."
VERSION = "0.0.0"


def expected():
    spec = parse.load(FOLDER / "small.yaml")
    texts = {file.name: rulefile.text(file, HEADER) for file in rules.rule_files(spec, VERSION) if "calendar" not in file.name}
    return texts | {"xsmall-alertmanager.yaml": f"# {HEADER}\n{alertmanager.part((spec,))}"}


def test_the_rules_of_every_kind_of_sli_are_as_committed():
    found = expected()
    assert len(found) == 5
    committed = {path.name: path.read_text(encoding="utf-8") for path in (FOLDER / "small").iterdir()}
    assert committed == found, "meant? python -m tests.slo.test_golden"


if __name__ == "__main__":
    for name, text in expected().items():
        (FOLDER / "small").mkdir(exist_ok=True)
        (FOLDER / "small" / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"wrote {name}\n")
