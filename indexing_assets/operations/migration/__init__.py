"""Migration: the rows of a single-table index become chunks and vectors, without a model call.

Belongs here: the names that its commands use; nothing else enters. Does not belong here: anything of its own, which is in
one of the modules below. See docs/decisions/0010-migration.md.

    old_index   such an index, found and read
    plan        which old index, which model, which roots
    carrier     its rows as the new tables will hold them
    staging     the new tables, built beside and compared
    steps       all of them in their order
    rollback    backup and record, and the way back
"""

from indexing_assets.operations.migration.carrier import MigrationReport
from indexing_assets.operations.migration.plan import Plan, find_unmigrated, plan_migration
from indexing_assets.operations.migration.rollback import read_record, refuse_foreign_table, remove_old_index, roll_back
from indexing_assets.operations.migration.steps import dry_run, migrate

__all__ = [
    "MigrationReport",
    "Plan",
    "dry_run",
    "find_unmigrated",
    "migrate",
    "plan_migration",
    "read_record",
    "refuse_foreign_table",
    "remove_old_index",
    "roll_back",
]
