"""What is made from something else says the same as its source: `make gen` leaves no difference."""

from tools.gen import ROOT, generated


def test_generated_files_are_as_make_gen_would_write_them() -> None:
    files = generated()
    assert files, "nothing is generated"
    stale = [str(path.relative_to(ROOT)) for path, text in files.items() if path.read_text(encoding="utf-8") != text]
    assert not stale, f"run `make gen`: {stale}"
