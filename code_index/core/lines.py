r"""Lines of a text as the index numbers them, which is as LSP and the common editors do: ended by `\n`, `\r\n` or a lone `\r`.

`str.splitlines` also cuts at form feeds and at separators of Unicode, so that the numbers of lines after one are too high.
"""

from __future__ import annotations

import re
from typing import Final

_END: Final = re.compile(r"\r\n|\n|\r")


def lines_of(text: str) -> list[str]:
    """The lines of a text without their ends; none of an empty text."""
    lines = _END.split(text)
    if not lines[-1]:
        del lines[-1]
    return lines
