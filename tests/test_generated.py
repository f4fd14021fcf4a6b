"""What is made from something else says the same as its source: `make gen` leaves no difference."""

from tools.gen import ROOT, generated, left_over


def test_generated_files_are_as_make_gen_would_write_them() -> None:
    files = generated()
    assert files, "nothing is generated"
    stale = [str(path.relative_to(ROOT)) for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    assert not stale, f"run `make gen`: {stale}"


def test_nothing_is_left_in_the_generated_folders_that_nobody_makes() -> None:
    files = generated()
    assert any(path.name.endswith(".rules.yaml") for path in files)
    assert not [str(path.relative_to(ROOT)) for path in left_over(files)]
