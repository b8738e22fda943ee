"""Tables of one folder, of this machine or of a store: open, create, read, merge, delete.

Belongs here: everything that talks to LanceDB for rows. Does not belong here: the meaning of rows, which the
modules of each table know.

Decisions: every connection has `read_consistency_interval=timedelta(0)`, because a handle
older than another process's commit deletes nothing and inserts duplicates without an error.
Keys are primary keys from the first version on (field metadata at creation rather than a
`set_unenforced_primary_key` commit afterwards, which would leave a moment without protection),
and merges never use an index, because an index on the key switches the protection off.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from code_index.core.addresses import Bucket
from code_index.core.errors import StoreError
from code_index.core.object_stores import passes
from code_index.tables.model_registry import REGISTRY_FILE, TABLES_OF_A_MODEL, ModelRegistry, read_registry
from code_index.tables.own_commits import OF_THIS_PROCESS, Versions
from code_index.tables.retries import TableUnreadableError, explained, with_retries
from code_index.tables.row_checks import conform, refuse_duplicates
from code_index.tables.schema_version import check_version, write_version
from code_index.tables.schemas import with_primary_key
from code_index.tables.sql import all_of, equals
from code_index.tables.table_folder import table_folder

T = TypeVar("T")

STAGED_PREFIX = ".staged-"  # of files beside the tables, with rows on their way into one
# Rows that LanceDB hands over at a time; by default 1,024: of 574,000 ids that is 170 ms of processor time, so 45.
_LARGE_BATCH = 65_536
_WIDE = frozenset({"content", "search_text"})  # and lists, such as vectors: many rows at a time take much memory


class LanceTables:
    """The Lance tables of one folder. Opens lazily, never caches rows; usable from several threads and processes."""

    _registry: tuple[Hashable, ModelRegistry] | None  # as it was read, and the record's stamp from before

    def __init__(self, where: Path | Bucket, *, model_id: str | None = None) -> None:
        """Set the folder; the tables of vectors are the model's, or for None those that search reads."""
        self.where = where if isinstance(where, Bucket) else Path(where)
        self.model_id = model_id
        self._forget()

    def __getstate__(self) -> tuple[Path | Bucket, str | None]:
        return self.where, self.model_id  # handles stay behind: a spawned process opens its own

    def __setstate__(self, state: tuple[Path | Bucket, str | None]) -> None:
        self.where, self.model_id = state
        self._forget()

    def registry(self) -> ModelRegistry | None:
        """Read which models have tables; again only when another process changed the record."""
        stamp = self._folder.stamp(REGISTRY_FILE)
        if self._registry is None or self._registry[0] != stamp:
            registry = None if stamp is None else read_registry(self.where)
            self._registry = None if registry is None else (stamp, registry)
        return None if self._registry is None else self._registry[1]

    def model(self) -> str | None:
        """Return the model whose vectors these are; `None` before the first one."""
        registry = self.registry()
        return None if registry is None else self.model_id or registry.serving

    def reads_model(self, model_id: str) -> bool:
        """Tell whether these tables hold that model's vectors, or will."""
        return self.model() in {None, model_id}

    def stored_name(self, name: str) -> str:
        """Return the name of a table in the folder: each model has tables of vectors of its own."""
        if name not in TABLES_OF_A_MODEL or (registry := self.registry()) is None:
            return name
        return name + registry.suffix(self.model_id)

    def _forget(self) -> None:
        self._folder = table_folder(self.where)
        self._registry = None
        self._connection: Any = None
        self._handles: dict[str, Any] = {}
        self._owner = 0  # process that opened the connection

    def names(self) -> list[str]:
        """List the tables that exist by name, without those of other models' vectors."""
        found = self._folder.names()
        of_models = {f"{name}{suffix}" for name in TABLES_OF_A_MODEL for suffix in self._suffixes()}
        return sorted({*(found - of_models), *(name for name in TABLES_OF_A_MODEL if self.stored_name(name) in found)})

    def _suffixes(self) -> list[str]:
        registry = self.registry()
        return [""] if registry is None else [entry.suffix for entry in registry.models.values()]

    def path(self, name: str) -> Path | Bucket:
        """Return the folder of a table, existing or not."""
        return self.where / f"{self.stored_name(name)}.lance"

    def leftovers(self) -> Iterator[Path]:
        """List the files that writers keep only while they write."""
        return self._folder.leftovers(("*.lance/**/.tmp??????", f"{STAGED_PREFIX}*"))

    def open(self, name: str) -> Any | None:
        """Open the table; `None` when it was never written.

        Raises:
            StoreError: the folder is there but holds no readable table, or a newer schema version.
        """
        self._refuse_fork()
        stored = self.stored_name(name)
        if (handle := self._handles.get(stored)) is not None:  # an empty table is false
            if self._folder.is_there(stored):
                return handle
            del self._handles[stored]  # the table was removed
        # A process killed while it created the table leaves a folder without data: that is no table yet.
        # Data without a manifest is a damaged one, and creating over it would hide the loss.
        if not self._folder.has_data(stored):
            return None
        handle = with_retries(lambda: self._connect().open_table(stored), table=name, directory=self.where)
        self._handles[stored] = handle
        return handle

    def open_or_create(self, name: str, schema: pa.Schema, *, keys: Sequence[str]) -> Any:
        """Open the table; create it where it is missing, and add columns (as nulls) that only `schema` has."""
        if (handle := self.open(name)) is None:
            write_version(self.where)
            created = with_primary_key(schema, keys)
            stored = self.stored_name(name)

            def create() -> Any:
                try:
                    return self._connect().create_table(stored, schema=created)
                except ValueError as error:
                    if "already exists" not in str(error):
                        raise
                    return self._connect().open_table(stored)  # another process was quicker

            handle = with_retries(create, table=name, directory=self.where)
            self._handles[stored] = handle
        self._add_missing_columns(name, schema)
        return handle

    def create(self, name: str, rows: pa.Table) -> int:
        """Make the table hold exactly `rows`, whatever it was before, in one commit; returns its version."""
        handle = with_retries(
            lambda: self._connect().create_table(self.stored_name(name), data=rows, mode="overwrite"),
            table=name,
            directory=self.where,
        )
        self._handles[self.stored_name(name)] = handle
        return int(handle.version)

    def run(self, name: str, action: Callable[[Any], T]) -> T:
        """Run `action` on the open table, with retries, plain errors, and one fresh handle when the files were exchanged.

        Raises:
            StoreError: the table does not exist or refuses.
        """
        if (handle := self.open(name)) is None:
            raise StoreError(f"There is no table {name!r} in {self.where}; index the repository first.")
        try:
            return with_retries(lambda: action(handle), table=name, directory=self.where)
        except TableUnreadableError:
            self._handles.pop(self.stored_name(name), None)
            if (fresh := self.open(name)) is None:
                raise
            return with_retries(lambda: action(fresh), table=name, directory=self.where)

    def read(
        self,
        name: str,
        schema: pa.Schema,
        *,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        limit: int | None = None,
    ) -> pa.Table:
        """Read rows as an Arrow table; empty when the table was never written. Row order is not defined."""
        wanted = projected(schema, columns)
        if (stored := self.schema(name)) is None or limit == 0:
            return wanted.empty_table()
        present = [column for column in wanted.names if column in stored.names]
        size = _LARGE_BATCH if _is_narrow(projected(wanted, present)) else None
        found = self.run(name, lambda table: _query(table, present, where, limit).to_batches(size).read_all())
        return conform(found.select(present), wanted, table=name)

    def iter_read(
        self,
        name: str,
        schema: pa.Schema,
        *,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        batch_size: int = 8_192,
    ) -> Iterator[pa.RecordBatch]:
        """Read rows of one version of the table, as batches of at most `batch_size` rows; memory stays flat.

        Where a store has a fault that passes, the rest is asked for again: a version gives its rows in the same order each time.
        """
        wanted = projected(schema, columns)
        if (stored := self.schema(name)) is None:
            return
        present = [column for column in wanted.names if column in stored.names]
        version = self._version_of_its_own(name)
        given = 0

        def rest() -> tuple[Any, pa.RecordBatch | None]:
            batches = _query(version, present, where, None).offset(given).to_batches(batch_size)
            return batches, next(batches, None)

        batches, batch = with_retries(rest, table=name, directory=self.where)
        while batch is not None:
            rows = conform(pa.Table.from_batches([batch]).select(present), wanted, table=name)
            yield from rows.combine_chunks().to_batches()
            given += batch.num_rows
            try:
                batch = next(batches, None)
            except (RuntimeError, ValueError, OSError) as error:
                # The rest is a query of its own: this one, asked again, would seem to have ended.
                if not (isinstance(self.where, Bucket) and passes(error)):
                    raise explained(error, table=name, directory=self.where) from error
                batches, batch = with_retries(rest, table=name, directory=self.where)

    def _version_of_its_own(self, name: str) -> Any:
        """Open the latest version of a table once more: this handle stays with it, whoever commits meanwhile."""

        def opened() -> Any:
            handle = self._connect().open_table(self.stored_name(name))
            handle.checkout(handle.version)
            return handle

        return with_retries(opened, table=name, directory=self.where)

    def schema(self, name: str) -> pa.Schema | None:
        """Return the columns of the stored table; `None` when it was never written."""
        return None if self.open(name) is None else self.run(name, lambda table: table.schema)

    def count(self, name: str, where: str | None = None) -> int:
        """Count rows; 0 when the table was never written."""
        if self.open(name) is None:
            return 0
        return int(self.run(name, lambda table: table.count_rows(where)))

    def version(self, name: str) -> int:
        """Return the number of the table's latest commit; 0 when the table was never written."""
        if self.open(name) is None:
            return 0
        return int(self.run(name, lambda table: table.version))

    def versions(self, *names: str) -> Versions:
        """Return which version of each of these tables is the latest, for `own_commits`."""
        return {
            str(self.path(name)): (self._folder.identity(self.stored_name(name)), self.version(name)) for name in names
        }

    def _note_commit(self, name: str, before: int, after: int, file_paths: Collection[str | None] | None) -> None:
        """Note a commit of this process, if nobody committed in between and its files are known."""
        # Vectors that another program wrote may be of no file.
        if file_paths is not None and None not in file_paths and after == before + 1:
            identity = self._folder.identity(self.stored_name(name))
            OF_THIS_PROCESS.add(
                str(self.path(name)), identity, after, [path for path in file_paths if path is not None]
            )

    def disk_bytes(self, name: str) -> int:
        """Add up the bytes on disk of the table, old versions and indexes included."""
        return self._folder.disk_bytes(self.stored_name(name))

    def ages_of_versions_s(self, name: str) -> list[float]:
        """Seconds since each version of the table was written, in no order."""
        return self._folder.ages_s(self.stored_name(name))

    def merge(
        self,
        name: str,
        schema: pa.Schema,
        rows: pa.Table,
        *,
        keys: Sequence[str],
        replaces: str | None = None,
        file_paths: Collection[str | None] | None = None,
    ) -> int:
        """Upsert rows by key in one commit; with `replaces`, rows that match it and are not in `rows` are deleted.

        `file_paths` are the files whose rows may change, for `own_commits`; None where nobody knows, or among them.

        Returns:
            The version of the table after it.

        Raises:
            StoreError: duplicate keys in `rows`, columns that do not fit, or LanceDB's refusal.
        """
        rows = conform(rows, schema, table=name)
        refuse_duplicates(rows, keys, table=name)
        self.open_or_create(name, schema, keys=keys)
        before = self.version(name)

        def merge(table: Any) -> Any:
            builder = table.merge_insert(list(keys)).when_matched_update_all().when_not_matched_insert_all()
            if replaces is not None:
                builder = builder.when_not_matched_by_source_delete(replaces)
            return builder.use_index(False).execute(rows)

        after = int(self.run(name, merge).version)
        self._note_commit(name, before, after, file_paths)
        return after

    def update_matched(
        self, name: str, rows: pa.Table, *, keys: Sequence[str], file_paths: Collection[str | None] | None = None
    ) -> int:
        """Overwrite the given columns of the rows that exist, in one commit; returns how many there were."""
        refuse_duplicates(rows, keys, table=name)
        before = self.version(name)
        merged = self.run(
            name, lambda table: table.merge_insert(list(keys)).when_matched_update_all().use_index(False).execute(rows)
        )
        self._note_commit(name, before, int(merged.version), file_paths)
        return int(merged.num_updated_rows)

    def delete(self, name: str, where: str, *, file_paths: Collection[str | None] | None = None) -> int:
        """Delete rows; returns how many. No commit when none match. `file_paths` as in `merge`."""
        if not self.count(name, where):
            return 0
        before = self.version(name)
        deleted = self.run(name, lambda table: table.delete(where))
        self._note_commit(name, before, int(deleted.version), file_paths)
        return int(deleted.num_deleted_rows)

    def append(
        self,
        name: str,
        schema: pa.Schema,
        rows: pa.Table,
        *,
        keys: Sequence[str],
        file_paths: Collection[str | None] | None = None,
    ) -> None:
        """Add rows in one commit, without a look at those that are there: for a table that only the caller writes.

        `file_paths` as in `merge`.

        Raises:
            StoreError: a key twice in `rows`, or columns that do not fit.
        """
        rows = conform(rows, schema, table=name)
        refuse_duplicates(rows, keys, table=name)
        self.open_or_create(name, schema, keys=keys)
        before = self.version(name)
        first = all_of(*(equals(key, rows.column(key)[0].as_py()) for key in keys)) if rows.num_rows else "false"
        tried = False

        def add(table: Any) -> int:
            nonlocal tried
            # A commit whose answer was lost with the store is there: once more, and its rows would be there twice.
            if tried and table.count_rows(first):
                return int(table.version)
            tried = True
            return int(table.add(rows).version)

        self._note_commit(name, before, self.run(name, add), file_paths)

    def drop(self, name: str) -> None:
        """Remove a table with its files."""
        stored = self.stored_name(name)
        self._handles.pop(stored, None)
        if stored in self._folder.names():
            with_retries(lambda: self._connect().drop_table(stored), table=name, directory=self.where)

    def _add_missing_columns(self, name: str, schema: pa.Schema) -> None:
        def missing() -> list[pa.Field]:
            stored = self.run(name, lambda table: table.schema)
            return [field for field in schema if field.name not in stored.names]

        if fields := missing():
            try:
                self.run(name, lambda table: table.add_columns(pa.schema(fields)))
            except StoreError:
                if missing():  # else another process added them first
                    raise

    def _refuse_fork(self) -> None:
        if self._connection is not None and self._owner != os.getpid():
            raise StoreError("LanceDB does not survive a fork: start worker processes with spawn or forkserver.")

    def _connect(self) -> Any:
        if self._connection is None:
            check_version(self.where)
            self._owner = os.getpid()
            self._connection = self._folder.connect()
        return self._connection


def projected(schema: pa.Schema, columns: Sequence[str] | None) -> pa.Schema:
    """Select the fields named by `columns`, in that order; all of them for `None`.

    Raises:
        StoreError: a name is not in the schema.
    """
    if columns is None:
        return schema
    unknown = [name for name in columns if name not in schema.names]
    if unknown:
        raise StoreError(f"There is no column {', '.join(map(repr, unknown))}; the columns are {schema.names}")
    return pa.schema([schema.field(name) for name in columns])


def _is_narrow(schema: pa.Schema) -> bool:
    return not any(pa.types.is_nested(field.type) or field.name in _WIDE for field in schema)


def _query(table: Any, columns: Sequence[str], where: str | None, limit: int | None) -> Any:
    query = table.search().select(list(columns))
    if where is not None:
        query = query.where(where)
    return query if limit is None else query.limit(limit)
