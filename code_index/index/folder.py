"""The folder of an index: its parts, and how it is made.

.code-index/
  .gitignore      ignores the folder itself
  index.json      format of the folder, repository it belongs to, mark of the user who made it
  settings.toml   what the user tunes
  complete.json   state at which nothing was left to do; may be deleted
  scan.json       time, commit and state of the last scan; may be deleted
  sources.json    where the vectors came from, in counts; may be deleted
  tables/         LanceDB: the index's tables, and those of assets that use the IO manager
  dagster/        DAGSTER_HOME: dagster.yaml, runs, events
  locks/          the processes that write, serve or follow at the moment; the socket of the one that serves
  reports/        the page of the asset index_report
  backup/         the index that a migration imported, until `cleanup` removes it

An index of several machines has its tables at a store, and scan.json and sources.json as records beside them; each machine has a
folder of its own with `locks/`, and `reports/` where the asset was made there.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from code_index.core.atomic_writes import write_atomically
from code_index.core.errors import IndexMissingError, RepositoryError, StoreError, UntrustedIndexError, UsageError
from code_index.core.lazy_imports import importing
from code_index.core.regular_files import read_regular_file
from code_index.index.permissions import set_permissions
from code_index.index.trust import (
    IGNORE_ALL,
    IGNORE_FILE,
    RECORD_FILE,
    belongs_to_others,
    is_known_elsewhere,
    is_trusted,
    make_mark,
    mark_of,
    read_record,
    refuse_other_content,
    refuse_unfit,
    refuse_untrusted,
    remember,
)
from code_index.repository.checkouts import top_checkout
from code_index.repository.skip_rules import INDEX_FOLDER
from code_index.system.files import is_same_folder

if TYPE_CHECKING:
    from code_index.core.addresses import Bucket
    from code_index.index.server_locks import LockServer
    from code_index.index.settings import Settings
    from code_index.repository.origins import GitOrigin

REPOSITORY_VARIABLE = "CODE_INDEX_REPOSITORY"
INDEX_DIR_VARIABLE = "CODE_INDEX_DIR"
# Set and not 0: sensors and schedules run unless a user stopped them.
WATCH_VARIABLE = "CODE_INDEX_WATCH"
FOLDER_FORMAT = 1
AT_STORE = "s3://"
"""Beginning of an address that names an index at a store where else a repository is named."""
_HASH_CHARACTERS = 16
_SHOWN = 80  # characters of a path that is too long

# Dagster reads `?` and `%41` in the path of a SQLite database as parts of a URL; LanceDB refuses control
# characters and bytes that are not UTF-8.
_UNFIT_IN_PATH = re.compile(r"\?|%[0-9A-Fa-f]{2}|[\x00-\x1f\x7f]|[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class IndexFolder:
    """An index folder and the repository it indexes; both paths absolute."""

    path: Path
    repository_root: Path
    given_settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Settings, by name, that win over those of the settings file."""
    tables_at: Bucket | None = None
    """Where the tables lie at a store; the folder is then only what this machine keeps for itself."""
    origin: GitOrigin | None = None
    """Where the source comes from; the repository is then this machine's checkout of it."""

    @property
    def tables_dir(self) -> Path:
        """Return LanceDB's folder of an index whose tables are on this machine."""
        return self.path / "tables"

    @property
    def tables(self) -> Path | Bucket:
        """Return where the tables, and the records beside them, lie."""
        return self.tables_at or self.tables_dir

    @property
    def locks(self) -> Path | LockServer:
        """Return where the locks of the phases are: beside tables of this machine, else at PostgreSQL.

        Raises:
            UsageError: the tables are at a store, and no PostgreSQL is named.
        """
        if self.tables_at is None:
            return self.locks_dir
        with importing:
            from code_index.index.server_locks import LockServer

        return LockServer.named(str(self.tables_at))

    @property
    def dagster_home(self) -> Path:
        """Return the folder that `DAGSTER_HOME` names."""
        return self.path / "dagster"

    @property
    def locks_dir(self) -> Path:
        """Return the folder of the lock files."""
        return self.path / "locks"

    @property
    def settings_path(self) -> Path:
        """Return the path of the settings file."""
        return self.path / "settings.toml"

    @property
    def backup_dir(self) -> Path:
        """Return the folder where a migration keeps the index that it imported."""
        return self.path / "backup"

    @property
    def exists(self) -> bool:
        """Tell whether the index was ever made; of one at a store only `check` can tell."""
        return self.tables_at is not None or (self.path / RECORD_FILE).is_file()

    @property
    def source_is_elsewhere(self) -> bool:
        """Tell whether this machine has no working tree to compare the index with: it is of a commit, or read from afar."""
        return self.origin is not None or (self.tables_at is not None and not self.repository_root.is_dir())

    @property
    def repository(self) -> str:
        """Name the repository, for answers: its folder, or the place of an index whose source is elsewhere."""
        return str((self.tables_at or self.path) if self.source_is_elsewhere else self.repository_root)

    @property
    def holds_home(self) -> bool:
        """Tell whether the repository is the home folder, or one above it, and no checkout: to be in it names nothing."""
        home = Path(os.path.expanduser("~"))  # noqa: PTH111 - which raises nothing where there is none
        return home.is_relative_to(self.repository_root) and not (self.repository_root / ".git").exists()

    def check_records(self) -> None:
        """Refuse an index that lost Dagster's records: what is indexed can be searched, and no more be told of it.

        Raises:
            IndexMissingError: they are gone.
        """
        if not (self.dagster_home / "dagster.yaml").is_file():
            raise IndexMissingError(
                f"Dagster's records are missing in {self.dagster_home}. Run `code-index index {self.repository_root}`: "
                "it writes them again from the tables, without parsing or embedding; search works meanwhile."
            )

    def settings(self) -> Settings:
        """Read the settings from the file, from what was given, and from the environment.

        Raises:
            SettingsError: a value cannot be used.
        """
        with importing:  # a search that another process answers needs none
            from code_index.index.settings import load_settings

        return load_settings(self.settings_path, given=self.given_settings)

    def create(self, instance_config: str) -> None:
        """Make the folder and its fixed files where they are missing; an existing index stays as it is.

        Args:
            instance_config: text of the `dagster.yaml` in DAGSTER_HOME; another one that is there is replaced.

        Raises:
            RepositoryError: the repository's root is not a folder that can be read.
            StoreError: the folder cannot be written, or belongs to another repository or a newer program; the store
                cannot be written, or may lose commits of several machines.
            UsageError: the folder's path or content makes it unfit for an index.
        """
        with importing:
            from code_index.index.settings import settings_template

        if self.origin is None and not self.repository_root.is_dir():
            raise RepositoryError(f"{self.repository_root} is not a folder. Name the repository to index.")
        if self.tables_at is not None:
            with importing:
                from code_index.tables.schema_version import write_version

            self._make_scratch()
            write_version(self.tables)
            return
        try:
            # Refuse before anything is written.
            refuse_untrusted(self.path)
            if self.exists:
                self._check_record()
            else:
                self._check_path()
            # The record first: what follows is then known as this user's, should the process be killed.
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            remember(self.path, self._mark())
            for folder in (self.tables_dir, self.dagster_home, self.locks_dir):
                folder.mkdir(exist_ok=True)
            _write_if_missing(self.path / IGNORE_FILE, IGNORE_ALL)
            _write_if_missing(self.settings_path, settings_template())
            write_instance_config(self.dagster_home, instance_config)
            set_permissions(self.path, shared=self.settings().shared_with_group, private=self.locks_dir)
        except OSError as error:
            raise StoreError(
                f"Cannot write the index folder {self.path}: {error.strerror}. Free space, allow writing, or name "
                f"another folder with --index-dir or {INDEX_DIR_VARIABLE}."
            ) from error
        self.check()

    def _make_scratch(self) -> None:
        """Make the folder of what this machine keeps of an index whose tables are at a store."""
        try:
            self.locks_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"Cannot write {self.path}: {error.strerror}. Free space or allow writing.") from error

    def _mark(self) -> str:
        """Return the mark in `index.json`; a new folder gets one."""
        if self.exists and (mark := mark_of(read_record(self.path))) is not None:
            return mark
        mark = make_mark()
        # Known before it is written: a folder with a mark that nobody knows would be refused.
        remember(self.path, mark)
        self._write_record(mark)
        return mark

    @property
    def _recorded_source(self) -> str:
        """Name of what the index is of: its repository, or the address of a git host, whose checkout may lie elsewhere tomorrow."""
        return str(self.repository_root) if self.origin is None else self.origin.address

    def _write_record(self, mark: str) -> None:
        record = {"format": FOLDER_FORMAT, "repository_root": self._recorded_source, "mark": mark}
        write_atomically(self.path / RECORD_FILE, json.dumps(record) + "\n")

    def trust(self, *, owner: int | None = None) -> None:
        """Trust an index that an older version made, that was copied here, or that another user shares.

        Args:
            owner: user id of the other user, who may change the index at any time; by default it has to be one's own.

        Raises:
            IndexMissingError: there is no such folder.
            UntrustedIndexError: no index may be used that holds a link, is tracked by git, or belongs to others.
            UsageError: the folder holds other things than an index.
            SettingsError: a setting cannot be used.
            StoreError: `index.json`, or the state folder, cannot be written; or the index is of a newer program.
        """
        refuse_unfit(self.path, owner=os.geteuid() if owner is None else owner)
        self._check_path()
        refuse_other_content(self.path)
        shared = self.settings().shared_with_group
        record = self._record_or_none()
        if record is not None:
            self._check_record(copied=True)
        mark = None if record is None else mark_of(record)
        try:
            if owner in {None, os.geteuid()}:
                # A copy must not take the place of its original; other state folders may know the mark that there is.
                if mark is None or is_known_elsewhere(mark, self.path):
                    mark = make_mark()
                remember(self.path, mark)
                self._write_record(mark)
                set_permissions(self.path, shared=shared, private=self.locks_dir)
            elif mark is None:
                raise UntrustedIndexError(
                    f"{self.path} has no mark of its owner that you can read. Ask them to index with the setting "
                    "shared_with_group, then trust it."
                )
            else:
                remember(self.path, mark)
        except OSError as error:
            raise StoreError(f"Cannot write {self.path}: {error.strerror}. Free space or allow writing.") from error

    def refuse_untrusted(self) -> None:
        """Refuse a folder that this user did not make; what this machine keeps of an index at a store is in its cache folder.

        Raises:
            UntrustedIndexError, UsageError: as `trust.refuse_untrusted`.
        """
        if self.tables_at is None:
            refuse_untrusted(self.path)

    def check(self) -> None:
        """Refuse a folder that this program must not write to.

        Raises:
            IndexMissingError: there is no index here.
            StoreError: the folder was made by a newer program or for another repository; the store cannot be read.
        """
        if self.tables_at is not None:
            self._check_store()
            return
        if not self.exists:
            raise IndexMissingError(
                f"There is no index at {self.path}. Run `code-index index {self.repository_root}` first."
            )
        self._check_record()
        if not self.tables_dir.is_dir():
            raise IndexMissingError(
                f"The index at {self.path} was never finished, or lost its tables. Run `code-index index "
                f"{self.repository_root}`: it makes what is missing."
            )

    def _check_store(self) -> None:
        with importing:
            from code_index.tables.schema_version import stored_version

        if stored_version(self.tables) is None:
            raise IndexMissingError(
                f"There is no index at {self.tables} yet. Its first scan makes it: materialize source_files."
            )
        self._make_scratch()

    def _check_record(self, *, copied: bool = False) -> None:
        with importing:
            from code_index.tables.schema_version import check_version

        record_path = self.path / RECORD_FILE
        try:
            record = read_record(self.path)
            folder_format, root = int(record["format"]), str(record["repository_root"])
        except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
            raise StoreError(f"{record_path} cannot be read ({error}). Delete {self.path} and index again.") from error
        if folder_format > FOLDER_FORMAT:
            raise StoreError(
                f"{self.path} was written by a newer code-index (format {folder_format}, this one knows "
                f"{FOLDER_FORMAT}). Upgrade code-index; nothing was touched."
            )
        check_version(self.tables_dir)
        # A repository that was moved together with its index folder is still the same index.
        moved_along = self.path.parent == self.repository_root and (
            self.path.name == INDEX_FOLDER or not Path(root).exists()
        )
        if not (is_same_folder(root, self._recorded_source) or moved_along or copied):
            raise StoreError(
                f"{self.path} is the index of {root}, not of {self._recorded_source}. "
                f"Name another folder with --index-dir or {INDEX_DIR_VARIABLE}; if that repository was moved here, "
                f"write its new place into {record_path}."
            )

    def _check_path(self) -> None:
        unfit = _UNFIT_IN_PATH.search(str(self.path))
        if unfit is not None:
            raise UsageError(
                f"The index cannot lie in {str(self.path)!r}: Dagster or LanceDB misread {unfit[0]!r} in a path. "
                f"Name another folder with --index-dir or {INDEX_DIR_VARIABLE}."
            )

    def with_recorded_root(self) -> IndexFolder:
        """Return the folder with the repository that it says it is of; itself where it does not say."""
        root = (self._record_or_none() or {}).get("repository_root")
        return replace(self, repository_root=Path(root)) if isinstance(root, str) and Path(root).is_absolute() else self

    def _record_or_none(self) -> dict[str, Any] | None:
        try:
            return read_record(self.path)
        except (OSError, ValueError):  # missing or damaged: it says nothing that the arguments do not say
            return None

    def environment(self) -> dict[str, str]:
        """Return the variables that make Dagster's own commands work on this index."""
        return {
            REPOSITORY_VARIABLE: str(self.repository_root),
            INDEX_DIR_VARIABLE: str(self.path),
            **dagster_environment(self.dagster_home),
        }


def dagster_environment(home: Path) -> dict[str, str]:
    """Return the variables of a Dagster instance: its folder, and events that are written in batches."""
    return {
        "DAGSTER_HOME": str(home),
        "DAGSTER_EVENT_BATCH_SIZE": os.environ.get("DAGSTER_EVENT_BATCH_SIZE", "1000"),
    }


def write_instance_config(home: Path, text: str) -> None:
    """Write the `dagster.yaml` of a Dagster instance, unless it is there already.

    Raises:
        OSError: the folder cannot be written, or what is there is no regular file.
    """
    target = home / "dagster.yaml"
    if not target.exists() or read_regular_file(target) != text.encode():
        write_atomically(target, text)


def resolve_index_folder(
    repository: str | Path | None = None,
    index_dir: str | Path | None = None,
    *,
    given_settings: Mapping[str, Any] | None = None,
) -> IndexFolder:
    """Resolve the index folder that arguments and environment name; nothing is created.

    `s3://bucket/prefix` in place of a repository names an index at a store. An argument wins over its variable. Without a repository, it is the nearest folder at or above the
    current one that holds an index, else the current folder. Folders above the top of the checkout, or of another
    user, are not looked at. `given_settings`, by name, win over the folder's settings file.

    Raises:
        UntrustedIndexError: there is a folder in its place that this user did not make on this machine.
        UsageError: the index folder is, or contains, the repository itself; a path is too long.
    """
    folder = locate_index_folder(repository, index_dir)
    folder.refuse_untrusted()
    return replace(folder, given_settings=given_settings) if given_settings else folder


def locate_index_folder(repository: str | Path | None = None, index_dir: str | Path | None = None) -> IndexFolder:
    """Do as `resolve_index_folder`, for `IndexFolder.trust`: whose folder it is, is not asked."""
    if isinstance(repository, str) and repository.startswith(AT_STORE):
        return folder_at_store(repository)
    variable = os.environ.get(REPOSITORY_VARIABLE)
    named = repository or variable
    root = _absolute(named) if named else _nearest_indexed(Path.cwd())
    # The two variables go together (`code-index env`): another repository than theirs has its own index.
    fits = not (repository and variable and _absolute(variable) != root)
    folder = index_dir or (os.environ.get(INDEX_DIR_VARIABLE) if fits else None)
    path = _absolute(folder) if folder else root / INDEX_FOLDER
    if root.is_relative_to(path):
        relation = "is" if path == root else "contains"
        raise UsageError(f"The index folder {path} {relation} the repository itself. Name a folder of its own.")
    _refuse_too_long(root)
    _refuse_too_long(path / RECORD_FILE)
    if folder:
        _refuse_links_below(root, folder)
    return IndexFolder(path=path, repository_root=root)


def folder_at_store(
    address: str,
    *,
    repository: Path | None = None,
    origin: GitOrigin | None = None,
    given_settings: Mapping[str, Any] | None = None,
) -> IndexFolder:
    """Return the index whose tables are at a store; this machine keeps the rest in the user's cache folder.

    Args:
        address: `s3://bucket/prefix`.
        repository: the source on this machine; by default a folder for a checkout of `origin`, if there is one.
        origin: where the source comes from.
        given_settings: settings, by name.

    Raises:
        UsageError: it is no address of a store.
    """
    with importing:
        from code_index.core.addresses import Bucket, parsed_address
        from code_index.core.cache import cache_folder
        from code_index.core.hashing import content_hash

    place = parsed_address(address)
    if not isinstance(place, Bucket):
        raise UsageError(f"{address!r} is no place of a store. Write s3://bucket/prefix.")
    path = cache_folder() / "indexes" / content_hash(str(place).encode())[:_HASH_CHARACTERS]
    return IndexFolder(
        path=path,
        repository_root=repository or path / "source",
        given_settings=given_settings or {},
        tables_at=place,
        origin=origin,
    )


def _absolute(path: str | Path) -> Path:
    try:
        return Path(path).expanduser().resolve()
    except RuntimeError as error:
        raise UsageError(f"{path}: {error} Write ./{path} if that is a folder's name.") from error


def _refuse_links_below(root: Path, named: str | Path) -> None:
    """Refuse a path that a link in the repository leads away; links elsewhere are the user's own."""
    path = Path(os.path.abspath(Path(named).expanduser()))  # noqa: PTH100 - which follows no link
    _refuse_too_long(path)
    for place in (path, *path.parents):
        if place.is_symlink() and place.parent.resolve().is_relative_to(root):
            raise UntrustedIndexError(
                f"{place} is a symbolic link in the repository: an index is not reached through it. Name the folder "
                "itself with --index-dir."
            )


def _refuse_too_long(path: Path) -> None:
    """Refuse a path that the system cannot take, before anything asks for it."""
    try:
        path.lstat()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise UsageError(f"{str(path)[:_SHOWN]}...: the path has {len(str(path))} characters, too many.") from error


def index_above(folder: IndexFolder) -> Path | None:
    """Return the repository above this one whose index holds the same files as well, or None."""
    root = folder.repository_root
    if root == top_checkout(root):
        return None
    above = _nearest_indexed(root.parent)
    return above if (above / INDEX_FOLDER / RECORD_FILE).is_file() else None


def _nearest_indexed(start: Path) -> Path:
    top = top_checkout(start)
    owners = {start.stat().st_uid, os.geteuid()}
    for folder in (start, *start.parents):
        index = folder / INDEX_FOLDER
        if folder.stat().st_uid not in owners or (belongs_to_others(index) and not is_trusted(index)):
            break
        if (index / RECORD_FILE).is_file():
            return folder
        if folder == top:
            break
    return start


def _write_if_missing(path: Path, text: str) -> None:
    if not path.exists():
        write_atomically(path, text)
