"""`IndexStore`: the tables of one index behind one object.

Belongs here: the joining of the parts. Each part is a module: files, chunks, status, errors,
vectors, sync, search, maintenance.
"""

from __future__ import annotations

from code_index.tables.files import FileRows
from code_index.tables.search_rows import SearchRows
from code_index.tables.switching import ModelSwitching
from code_index.tables.sync import SyncRows
from code_index.tables.table_upkeep import Maintenance


class IndexStore(FileRows, ModelSwitching, SyncRows, SearchRows, Maintenance):
    """All that is read from and written to the tables of one index.

    Cheap to construct and free to share: nothing is opened before it is used, tables come into being
    with their first write, and reads of tables that do not exist give no rows. Safe in several threads
    and processes; picklable, so that a spawned process opens its own handles.
    """
