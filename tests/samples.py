"""One realistic file of each language and format, in a folder of its own, with what the chunker makes of it.

Belongs here: finding them. Does not belong here: what a test expects of them.
"""

from __future__ import annotations

import os
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"
UPDATE = os.environ.get("CODE_INDEX_UPDATE_GOLDEN") == "1"  # read here: fixtures may clear the environment
SAMPLES = {path.parent.name: path for path in sorted(GOLDEN.glob("*/*sample*"))}
