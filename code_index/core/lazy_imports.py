"""One lazy import at a time: of two threads that first use a package, each gets all of it.

Python guards a module while it is imported, but not a package whose modules import each other: where two threads enter it
at different places, one is told of a deadlock (`import code_index.core.errors` beside `import code_index`), and a package
that exchanges itself in `sys.modules` (transformers, pygments) is half there for the thread that waited. So whatever a
function imports, it imports in this lock:

    with importing:
        import torch

Does not belong here: LanceDB, whose import is long and runs beside that of the model (`code_index.tables.lancedb_import`).
The commands import in the main thread, before there is another. No module takes this lock while it is imported.
"""

import threading
from typing import Final

importing: Final = threading.RLock()
