"""Proof that a model folder holds data only, before any library opens a file of it.

Belongs here: what a model folder may not hold, each with a sentence that names file, key and way out. Does not belong
here: the facts of a model (`code_index.embedding.models.model_files`).

The libraries have switches for the same (`trust_remote_code`, `use_safetensors`), which are set where models are
loaded. They are not relied on: what they cover differs from version to version (sentence-transformers before 6.0
imported modules of a local folder without being asked), and configuration can lead around them.

    code        files of code anywhere; keys that name it (`auto_map`); module types outside of sentence-transformers;
                kernels of a hub named as attention; settings handed on to the libraries' loaders
    pickles     weights in any form but safetensors, where a library would open them: opening a pickle runs code
    elsewhere   links and paths that leave the folder, adapters that name another model
    not a file  pipes, devices, configuration of many megabytes, folders without end
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from code_index.core.errors import ModelError
from code_index.core.regular_files import UnfitFileError, load_json, read_regular_file

MODULES_FILE: Final = "modules.json"
_MAX_ENTRIES: Final = 5_000
_MAX_DEPTH: Final = 8
_MAX_BULKY_BYTES: Final = 256 << 20
_SHOWN: Final = 80
_CODE: Final = re.compile(r"\.(py[cdowxi]?|so(\.\d+)*|dll|dylib|pyz|egg|whl)$", re.IGNORECASE)
_UNSAFE_WEIGHTS: Final = re.compile(
    r"\.(bin|pt|pth|pkl|pickle|ckpt|joblib|npy|npz|h5|hdf5|keras|pb|msgpack|gguf)$", re.IGNORECASE
)
_BULKY: Final = frozenset({"tokenizer.json", "vocab.json", "added_tokens.json", "entity_vocab.json"})
"""Data that only tokenizers read, up to tens of megabytes; the Rust library bounds its nesting."""
_MODULES: Final = (
    "Transformer|Pooling|Normalize|Dense|LayerNorm|WeightedLayerPooling|StaticEmbedding|BoW|CNN|LSTM|WordEmbeddings"
    "|WordWeights|Dropout|CLIPModel|Router|Asym"
)
"""The modules of sentence-transformers 6 that make one vector of a text."""
_MODULE_TYPE: Final = re.compile(rf"sentence_transformers\.(\w+\.)*({_MODULES})", re.ASCII)
_ACTIVATION: Final = re.compile(r"torch\.nn\.modules\.(activation|linear)\.[A-Z]\w*", re.ASCII)
_CODE_KEYS: Final = frozenset({"auto_map", "auto_mapping", "custom_pipelines", "custom_generate", "trust_remote_code"})
_OTHER_PLACE_KEYS: Final = frozenset({"transformers_weights", "tokenizer_name_or_path", "base_model_name_or_path"})
_LOADER_KEYS: Final = frozenset(
    {"model_args", "model_kwargs", "tokenizer_args", "processor_kwargs", "config_args", "config_kwargs"}
)
_LOADER_OPTIONS: Final = frozenset(
    {"dtype", "torch_dtype", "attn_implementation", "add_pooling_layer", "padding_side", "truncation_side"}
    | {"model_max_length", "max_length", "use_fast", "low_cpu_mem_usage"}
)
"""Options of a loader that only shape numbers and texts."""


def require_data_only(folder: Path) -> None:
    """Refuse a model folder that holds, names or leads to more than data. Takes milliseconds; weights are not read.

    Args:
        folder: absolute and without links, as `code_index.embedding.models.lookup.find_model` gives it.

    Raises:
        ModelError: names the file, the key in it, and the way out.
    """
    try:
        configs = {path: read_config(path) for path in _files(folder) if _is_config(path)}
    except OSError as error:
        raise ModelError(f"{error.filename or folder} cannot be read: {error.strerror or error}") from error
    for path, config in configs.items():
        for key, value in _entries(config):
            _check_entry(path, key, value)
        if path.name == "model.safetensors.index.json":
            _check_shards(path, config)
    for module in _module_folders(folder, configs):
        _check_weights(module)


def read_config(path: Path) -> Any:
    """Parse a JSON file of a model folder; a link is followed (hub caches consist of links).

    Raises:
        FileNotFoundError: there is none.
        ModelError: it cannot be read, is too large, or is no JSON.
    """
    try:
        return load_json(read_regular_file(Path(os.path.realpath(path))))
    except FileNotFoundError:
        raise
    except UnfitFileError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error


def read_modules(folder: Path) -> list[tuple[str, str]]:
    """Class name and subfolder of each module of sentence-transformers that a model folder names, in order.

    Raises:
        FileNotFoundError: there is no list of modules: it is a plain transformers folder.
        ModelError: it cannot be read, is no list of modules, or names code or another place.
    """
    path = folder / MODULES_FILE
    modules = read_config(path)
    if not isinstance(modules, list):
        raise _refusal(path, "is not a list of modules")
    for module in modules:
        if not isinstance(module, dict):
            raise _refusal(path, f"has a module that is not a JSON object: {str(module)[:_SHOWN]!r}")
        _check_module(path, module.get("type"), module.get("path"))
    return [(module["type"].rpartition(".")[2], module["path"]) for module in modules]


def _refusal(path: Path, problem: str) -> ModelError:
    return ModelError(f"{path} {problem}.")


def _files(folder: Path) -> Iterator[Path]:
    """The files below a folder, links to files included, in order."""
    count = 0
    waiting = [(folder, 0)]
    while waiting:
        parent, depth = waiting.pop()
        with os.scandir(parent) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                count += 1
                if count > _MAX_ENTRIES or depth > _MAX_DEPTH:
                    raise _refusal(folder, "holds more files than any model: name the model's own folder")
                path = Path(entry.path)
                if entry.is_symlink():
                    _check_link(folder, path)
                    yield path
                elif entry.is_dir(follow_symlinks=False):
                    waiting.append((path, depth + 1))
                elif entry.is_file(follow_symlinks=False):
                    yield path
                else:
                    raise _refusal(path, "is neither a file nor a folder. Delete it")


def _check_link(folder: Path, path: Path) -> None:
    """A link may lead to a file in the model's folder, or of the hub cache's folder of this model."""
    target = Path(os.path.realpath(path))
    if not any(target.is_relative_to(root) for root in _roots(folder)):
        raise _refusal(path, f"is a link that leaves the model's folder (to {target}): put a copy there")
    if not stat.S_ISREG(target.stat().st_mode):
        raise _refusal(path, "is a link to something that is no file: put a copy there")


def _roots(folder: Path) -> list[Path]:
    # models--org--name/snapshots/<commit>/config.json -> models--org--name/blobs/<digest>
    return [folder, *([folder.parents[1] / "blobs"] if folder.parent.name == "snapshots" else [])]


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key of a JSON value with what it holds, at any depth."""
    waiting = [value]
    while waiting:
        current = waiting.pop()
        if isinstance(current, dict):
            yield from current.items()
            waiting.extend(current.values())
        elif isinstance(current, list):
            waiting.extend(current)


def _is_config(path: Path) -> bool:
    """Tell whether a file is configuration; a file that no model folder may hold is refused."""
    if _CODE.search(path.name):
        raise _refusal(path, "is code, which is never run: a model folder holds data only. Delete the file")
    if path.name == "adapter_config.json":
        raise _refusal(path, "names another model: merge the adapter into its model, and name that folder")
    if path.name in _BULKY:
        if path.stat().st_size > _MAX_BULKY_BYTES:
            raise _refusal(path, f"is larger than {_MAX_BULKY_BYTES:,} bytes: use another model")
        return False
    return path.suffix.lower() == ".json"


def _check_entry(path: Path, key: str, value: Any) -> None:
    for applies, problem in _RULES:
        if applies(key, value):
            raise _refusal(path, f"has the key {key!r} ({str(value)[:_SHOWN]!r}): {problem}")
    if key == "types" and isinstance(value, dict):  # the modules of a router, by folder
        for module, kind in value.items():
            _check_module(path, kind, module)


def _names_code(key: str, value: Any) -> bool:
    dotted = isinstance(value, str) and "." in value
    if key == "activation_function":
        return dotted and not _ACTIVATION.fullmatch(value)
    if key.endswith("_class"):
        return dotted and not value.startswith("sentence_transformers.")
    return key in _CODE_KEYS and bool(value)


def _names_kernel(key: str, value: Any) -> bool:
    """Tell whether an implementation is a hub's repository, `org/name`, instead of one that the library has."""
    if not key.endswith(("_implementation", "_implementation_internal")):
        return False
    named = value.values() if isinstance(value, dict) else [value]
    return any(isinstance(name, str) and not name.replace("_", "").isalnum() for name in named)


def _sets_loader(key: str, value: Any) -> bool:
    return key in _LOADER_KEYS and not (isinstance(value, dict | None) and _LOADER_OPTIONS.issuperset(value or ()))


_RULES: Final[tuple[tuple[Callable[[str, Any], bool], str], ...]] = (
    (_names_code, "it names code, which is never run. Use a model that needs none"),
    (_names_kernel, "it names code of a hub, which is never run. Remove the key"),
    (_sets_loader, "it sets more of a library's loader than numbers and texts. Remove the key"),
    (lambda key, value: key in _OTHER_PLACE_KEYS and bool(value), "it leads to other files. Remove the key"),
)


def _check_module(path: Path, kind: Any, place: Any) -> None:
    if not isinstance(kind, str) or not _MODULE_TYPE.fullmatch(kind):
        raise _refusal(
            path,
            f"has a module of 'type' {kind!r}, which is not one of sentence-transformers' own: no other code is run",
        )
    if not isinstance(place, str) or PurePosixPath(place).is_absolute() or ".." in PurePosixPath(place).parts:
        raise _refusal(path, f"has a module in 'path' {place!r}, outside of the model's folder")


def _check_shards(path: Path, index: Any) -> None:
    """The index of weights may name only safetensors beside it."""
    shards = index.get("weight_map") if isinstance(index, dict) else None
    for name in shards.values() if isinstance(shards, dict) else ():
        if not isinstance(name, str) or not re.fullmatch(r"[\w.-]+\.safetensors", name):
            raise _refusal(path, f"names {name!r} under 'weight_map': only safetensors files beside it are read")


def _module_folders(folder: Path, configs: Mapping[Path, Any]) -> Iterator[Path]:
    """The folders from which a library may load weights."""
    if folder / MODULES_FILE not in configs:
        yield folder
        return
    for _, place in read_modules(folder):
        yield folder / place
    for path, config in configs.items():
        types = config.get("types") if isinstance(config, dict) else None
        if isinstance(types, dict):
            yield from (path.parent / module for module in types)


def _check_weights(module: Path) -> None:
    names = sorted(path.name for path in module.iterdir()) if module.is_dir() else []
    if "model.safetensors" in names or "model.safetensors.index.json" in names:
        return
    for name in names:
        if _UNSAFE_WEIGHTS.search(name):
            raise _refusal(
                module / name,
                "are weights that can run code when they are opened; only safetensors are read. Convert them where you "
                "trust the model: SentenceTransformer(folder).save_pretrained(new_folder), and name the new folder",
            )
