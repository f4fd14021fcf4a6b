"""Makes the source of a truly bad release: a copy of this checkout with demo/bad-release/gateway.patch applied."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ops.adapters.release_source import VERSION_FILE, look
from ops.errors import OpsError, Refused, UsageError

PATCH = Path("demo/bad-release/gateway.patch")
GIT_TIMEOUT_S = 30


def make_source(checkout: Path, dest: Path) -> Path:
    """Copy `checkout` to `dest`, apply the patch there and return `dest`. An earlier copy in `dest` is replaced.

    The same checkout gives the same files, so a second build of it is found to be built already. Raises UsageError when
    `dest` holds something else, Refused when the patch does not apply.
    """
    dest = dest.absolute()
    if (dest / ".git").exists() or (dest.exists() and any(dest.iterdir()) and not (dest / VERSION_FILE).is_file()):
        raise UsageError(f"{dest} is not an earlier copy and would be replaced", "name a new folder")
    tree = look(checkout)
    shutil.rmtree(dest, ignore_errors=True)
    for name in tree.files:
        (dest / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(tree.root / name, dest / name, follow_symlinks=False)
    _apply(tree.root / PATCH, dest)
    return dest


def _apply(patch: Path, dest: Path) -> None:
    """`git apply` in `dest`, kept from seeing a repository around it, where it would look up the paths instead."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment["GIT_CEILING_DIRECTORIES"] = os.path.realpath(dest.parent)
    command = ["git", "apply", "--verbose", str(patch)]
    done = subprocess.run(command, cwd=dest, env=environment, capture_output=True, text=True, timeout=GIT_TIMEOUT_S, check=False)
    if done.returncode != 0:
        raise Refused(f"{patch.name} does not apply: {done.stderr.strip()}", "write it again: demo/bad-release/README.md says how")


def main() -> int:
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print("usage: python -m demo.bad_release FOLDER", file=sys.stderr)
        return 2
    try:
        print(make_source(Path(__file__).resolve().parents[1], Path(sys.argv[1])))
    except OpsError as error:
        print(f"error: {error.message}\n  next: {error.hint}", file=sys.stderr)
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
