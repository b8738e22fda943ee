"""`IndexStore`: the tables of one index behind one object.

Belongs here: the joining of the parts. Each part is a module: files, chunks, status, errors,
vectors, sync, search, maintenance.
"""

from __future__ import annotations

from resources.lancedb_store.files import FileRows
from resources.lancedb_store.maintenance import Maintenance
from resources.lancedb_store.search import SearchRows
from resources.lancedb_store.switching import ModelSwitching
from resources.lancedb_store.sync import SyncRows


class IndexStore(FileRows, ModelSwitching, SyncRows, SearchRows, Maintenance):
    """All that is read from and written to the tables of one index.

    Cheap to construct and free to share: nothing is opened before it is used, tables come into being
    with their first write, and reads of tables that do not exist give no rows. Safe in several threads
    and processes; picklable, so that a spawned process opens its own handles.
    """
