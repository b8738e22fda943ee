"""Makes the page of the package of README.md; a hook of its metadata (`[tool.hatch.metadata.hooks.custom]`).

On a registry's page a relative link leads nowhere: of such links the text is left.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class PackageReadme(MetadataHookInterface):
    """Gives the long description."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set `readme` in the metadata of the project."""
        page = Path(self.root, "README.md").read_text(encoding="utf-8")
        text = re.sub(r"\[([^\]]+)\]\((?!https?:)[^)]*\)", r"\1", page)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
