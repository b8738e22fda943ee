"""Built-in skip rules by name, which hold in every repository.

Belongs here: tables of names and look-ups in them. Does not belong here: names of secrets
(`code_index.repository.secret_names`), rules in the repository's ignore files (`code_index.repository.ignore_rules`)
and rules about contents (`code_index.repository.content_rules`).

A reason is `<category>: <detail>`, so that lists can be grouped by category.

Folders with an unmistakable name (`node_modules`) are skipped anywhere, others (`build`, `vendor`, `target`) only beside
the manifest of the tool that fills them. Where git tracks a file inside, neither holds: the folder is part of the project
(`src/components/Pods`, fixtures in a `node_modules`). Only dependencies that a package manager has put there stay out
although they are tracked, unless a setting wants them (docs/decisions/0015-tracked-dependencies.md): those beside its
manifest, or with its record of what it installed. Generated source is indexed, because it is often the only definition
of what the code calls; bundles are not, nor the stubs of protocol compilers, whose source of truth is the `.proto`. A
`!pattern` in `.codeindexignore` brings any of it back, except version control folders.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from code_index.repository.secret_names import SECRET_FOLDERS, is_secret_name


def _words(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


VCS_FOLDERS: Final = frozenset({".git", ".hg", ".svn", ".jj", ".sl", ".bzr", ".pijul", "_darcs", "CVS"})

INDEX_FOLDER: Final = ".code-index"
"""Default folder of an index; skipped even when it is another repository's."""

_DEPENDENCY: Final = "dependency folder"
_BUILD: Final = "build folder"
_CACHE: Final = "cache folder"
_EDITOR: Final = "editor folder"
_TRACKED: Final = "dependency folder that git tracks"

_ALWAYS: Final = {
    name: category
    for category, names in {
        _DEPENDENCY: "node_modules bower_components jspm_packages site-packages dist-packages __pypackages__ Pods "
        "elm-stuff .bundle .yarn .pnpm-store .eggs .terraform .dart_tool .swiftpm .cabal-sandbox .stack-work",
        _BUILD: "DerivedData CMakeFiles dist-newstyle zig-out buck-out storybook-static .next .nuxt .svelte-kit "
        ".output .docusaurus .vercel .netlify .serverless .aws-sam .expo .angular nimcache htmlcov .nyc_output",
        _CACHE: "__pycache__ .tox .nox .mypy_cache .pytest_cache .ruff_cache .hypothesis .pytype .cache "
        ".parcel-cache .turbo .gradle .zig-cache zig-cache .sass-cache .ipynb_checkpoints .direnv .ccls-cache "
        ".pants.d .scannerwork .import_linter_cache .npm .bloop .metals .mcp-vector-search",
        _EDITOR: ".idea .vs .history .Rproj.user .fleet",
    }.items()
    for name in names.split()
}
_ALWAYS_SUFFIXES: Final = ((".egg-info", _BUILD), (".dist-info", _DEPENDENCY), (".xcworkspace", _EDITOR))


@dataclass(frozen=True, slots=True)
class _SkippedBeside:
    """A folder skipped beside one of `manifests`: a name, or `*` and a suffix."""

    category: str
    manifests: frozenset[str]


def _skipped_beside(category: str, manifests: str) -> _SkippedBeside:
    return _SkippedBeside(category, frozenset(manifests.split()))


_ANY_PROJECT: Final = (
    "package.json pyproject.toml setup.py setup.cfg build.gradle build.gradle.kts settings.gradle "
    "settings.gradle.kts pom.xml Cargo.toml go.mod CMakeLists.txt meson.build pubspec.yaml composer.json deno.json "
    "Package.swift build.xml build.sbt Makefile"
)
_VENDORING: Final = "go.mod composer.json Gemfile Cargo.toml Godeps Gopkg.lock glide.lock"
_BY_SIBLING: Final = {
    "build": _skipped_beside(_BUILD, _ANY_PROJECT),
    "out": _skipped_beside(_BUILD, _ANY_PROJECT),
    "dist": _skipped_beside(_BUILD, _ANY_PROJECT),
    "target": _skipped_beside(_BUILD, "Cargo.toml pom.xml build.sbt project.clj"),
    "bin": _skipped_beside(_BUILD, "*.csproj *.fsproj *.vbproj"),
    "obj": _skipped_beside(_BUILD, "*.csproj *.fsproj *.vbproj"),
    "_build": _skipped_beside(_BUILD, "mix.exs rebar.config dune-project conf.py"),
    ".build": _skipped_beside(_BUILD, "Package.swift"),
    "deps": _skipped_beside(_DEPENDENCY, "mix.exs"),
    "vendor": _skipped_beside(_DEPENDENCY, _VENDORING),
    "Carthage": _skipped_beside(_DEPENDENCY, "Cartfile"),
    "coverage": _skipped_beside(_BUILD, "package.json"),
    "site": _skipped_beside(_BUILD, "mkdocs.yml"),
    "_site": _skipped_beside(_BUILD, "_config.yml"),
}

# Folders of dependencies that may be tracked, and the manifests beside them that say so.
_INSTALLED_BESIDE: Final = {
    "vendor": frozenset(_VENDORING.split()),
    "Pods": frozenset({"Podfile"}),
    "Carthage": frozenset({"Cartfile"}),
    "bower_components": frozenset({"bower.json"}),
}
# Entries in which package managers record what they installed, by the folder that they lie in.
_INSTALLED_RECORDS: Final = {
    "vendor": ("modules.txt", "autoload.php"),  # Go, Composer
    "Pods": ("Manifest.lock",),
    "node_modules": (".package-lock.json", ".yarn-integrity", ".yarn-state.yml", ".modules.yaml"),
}
_VIRTUAL_ENVIRONMENT: Final = "pyvenv.cfg"
_CACHE_TAG: Final = "CACHEDIR.TAG"

_LOCK_FILES: Final = _words(
    "package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml bun.lock bun.lockb deno.lock poetry.lock uv.lock",
    "pdm.lock pipfile.lock pixi.lock conda-lock.yml pylock.toml cargo.lock go.sum go.work.sum composer.lock",
    "gemfile.lock gems.locked flake.lock mix.lock rebar.lock podfile.lock cartfile.resolved package.resolved",
    "pubspec.lock packages.lock.json project.assets.json gradle.lockfile buildscript-gradle.lockfile",
    "stack.yaml.lock cabal.project.freeze shard.lock renv.lock packrat.lock",
    "chart.lock .terraform.lock.hcl buf.lock module.bazel.lock paket.lock dub.selections.json",
)

_BUNDLE: Final = re.compile(
    r".*(?:[.-]min\.(?:js|mjs|cjs|css)|\.bundle\.(?:js|mjs|cjs|css)|\.chunk\.(?:js|css)|\.(?:js|mjs|cjs|css|ts)\.map)"
)
_PROTOCOL_STUB: Final = re.compile(
    r".*(?:\.pb(?:\.gw|\.validate)?\.go|_grpc\.pb\.go|_pb2(?:_grpc)?\.pyi?|\.pb\.(?:cc|h|dart|swift)"
    r"|\.pb(?:enum|json|server|grpc)\.dart|_pb\.(?:js|d\.ts|rb)|_grpc_pb\.(?:js|d\.ts)|_services_pb\.rb)"
)

_BINARY_EXTENSIONS: Final = _words(
    "png jpg jpeg gif bmp ico icns webp avif heic heif tif tiff psd eps xcf sketch cr2 dds tga exr hdr",
    "mp3 mp4 m4a m4v mov avi mkv webm wav flac ogg oga ogv opus aac wma wmv mid",
    "zip gz tgz bz2 tbz2 xz txz zst lz4 lzma 7z rar tar jar war ear apk aab ipa whl egg gem nupkg deb rpm dmg iso",
    "pkg msi cab crx xpi vsix exe dll so dylib a o obj lib pdb pyc pyo pyd class dex wasm node beam ko",
    "elc rlib rmeta bin img qcow2 vmdk ttf otf woff woff2 eot pdf doc docx xls xlsx ppt pptx odt ods odp",
    "epub mobi db sqlite sqlite3 db3 mdb accdb parquet feather arrow orc avro lance npy npz pkl pickle joblib h5 hdf5",
    "pt pth ckpt onnx safetensors gguf tflite pb mlmodel rds rda rdata glb fbx blend 3ds stl",
    "swf fla der cer swp swo nib snk",
)


def folder_reason(
    name: str, siblings: Collection[str], has_tracked: Callable[[], bool], *, tracked_dependencies: bool = False
) -> str | None:
    """Reason to skip the folder `name`, beside entries named `siblings`, or None.

    `has_tracked` tells whether git tracks a file inside; it is called only where that decides. With
    `tracked_dependencies` dependencies that git tracks are part of the project.
    """
    if name in VCS_FOLDERS:
        return f"version control: {name}"
    if name in SECRET_FOLDERS:
        return f"likely secret: {name}"
    reason = _named_folder_reason(name)
    if reason is None and (rule := _BY_SIBLING.get(name)) is not None:
        manifest = _present(rule.manifests, siblings)
        reason = None if manifest is None else f"{rule.category}: {name} beside {manifest}"
    if reason is None or not has_tracked():
        return reason
    manifest = _present(_INSTALLED_BESIDE.get(name, ()), siblings)
    return None if manifest is None or tracked_dependencies else f"{_TRACKED}: {name} beside {manifest}"


def entered_folder_reason(
    name: str, names: Collection[str], has_tracked: Callable[[], bool], *, tracked_dependencies: bool = False
) -> str | None:
    """Reason to skip the folder `name` for one of the entries `names` in it, or None; else as `folder_reason`."""
    if _CACHE_TAG in names and not has_tracked():
        return f"{_CACHE}: marked by {_CACHE_TAG}"
    records = (*_INSTALLED_RECORDS.get(name, ()), _VIRTUAL_ENVIRONMENT)
    record = next((record for record in records if record in names), None)
    if record is None:
        return None
    if has_tracked():
        return None if tracked_dependencies else f"{_TRACKED}: {record}"
    return f"{_DEPENDENCY}: virtual environment ({record})" if record == _VIRTUAL_ENVIRONMENT else None


def file_name_reason(name: str, folder: str = "") -> str | None:
    """Reason to skip a file called `name`, or None; `folder` is the name of the one it lies in, empty at the top."""
    if name in VCS_FOLDERS:  # `.git` is a file in submodules and linked working trees
        return f"version control: {name}"
    lower = name.lower()
    stem, _, extension = lower.rpartition(".")
    reason = None
    if is_secret_name(lower, folder.lower()):
        reason = "likely secret: by its name"
    elif (stem and extension in _BINARY_EXTENSIONS) or lower == ".ds_store":
        reason = f"binary: .{extension}"
    elif lower in _LOCK_FILES:
        reason = f"lock file: {name}"
    elif _BUNDLE.fullmatch(lower) is not None:
        reason = "bundle: by its name"
    elif _PROTOCOL_STUB.fullmatch(lower) is not None:
        reason = "generated: protocol compiler output"
    return reason


def _named_folder_reason(name: str) -> str | None:
    category = _ALWAYS.get(name)
    if category is None:
        category = next((found for suffix, found in _ALWAYS_SUFFIXES if name.endswith(suffix)), None)
    if category is None and name.startswith("cmake-build-"):
        category = _BUILD
    return None if category is None else f"{category}: {name}"


def _present(manifests: Collection[str], siblings: Collection[str]) -> str | None:
    for manifest in sorted(manifests):
        if manifest.startswith("*"):
            found = min((name for name in siblings if name.endswith(manifest[1:])), default=None)
            if found is not None:
                return found
        elif manifest in siblings:
            return manifest
    return None
