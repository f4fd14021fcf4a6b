"""The gateway's parts: a core and a gateway in this process, keys, waiting."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "gateway"))
