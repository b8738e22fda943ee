"""Questions to the process that stays with an index, and its answers: lines of JSON through a socket.

Whoever asks gets no answer where nobody serves the index, where another version, another environment or another
repository is served, or where the other end is slow to say that it is there; it then does the work by itself. An answer
is the same as the work would give, errors included.

Belongs here: the lines, for both ends. Does not belong here: what is answered (`answers`). Import time counts: a shell
waits for it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import code_index
from code_index.core import errors
from code_index.core.errors import CodeIndexError
from code_index.core.regular_files import load_json
from code_index.index.trust import STATE_VARIABLE
from code_index.serving.local_socket import connect

if TYPE_CHECKING:
    from code_index.index.folder import IndexFolder

# Raised with every change of a question, an answer or the lines themselves.
PROTOCOL: Final = 2
LONGEST_QUESTION: Final = 1 << 20  # bytes
_LONGEST_ANSWER: Final = 1 << 28
# A process that serves says at once that it heard; one that is stopped does not.
_HEARD_S = 2.0
# The slowest answer is the first one after a change of model.
_ANSWER_S = 120.0
# Settings come from variables of this prefix; these two are in the question itself.
_PREFIX = "CODE_INDEX_"
_PLACES = frozenset({"CODE_INDEX_REPOSITORY", "CODE_INDEX_DIR"})


def ask(folder: IndexFolder, question: str, arguments: Mapping[str, Any]) -> Any | None:
    """Ask the process that serves the index; None where the caller has to find the answer by itself.

    Raises:
        CodeIndexError: of the class that the work itself would raise.
    """
    connection = connect(folder.locks_dir, timeout_s=_HEARD_S)
    if connection is None:
        return None
    with connection, suppress(OSError, ValueError):
        line = json.dumps({"to": addressee(folder), "question": question, "arguments": arguments})
        connection.sendall(line.encode() + b"\n")
        with connection.makefile("rb") as lines:
            if _received(lines).get("heard") is not True:
                return None
            connection.settimeout(_ANSWER_S)
            said = _received(lines)
        if (error := said.get("error")) is not None:
            raise _error(error)
        return said.get("answer")
    return None


def addressee(folder: IndexFolder) -> dict[str, Any]:
    """All that asker and answerer must have in common: the program, the index and all that settings are made of."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if (name.startswith(_PREFIX) and name not in _PLACES) or name == STATE_VARIABLE
    }
    return {
        "protocol": PROTOCOL,
        "program": str(Path(code_index.__file__).parent),
        "index": str(folder.path),
        "repository": str(folder.repository_root),
        "environment": environment,
    }


def error_line(error: CodeIndexError) -> dict[str, Any]:
    """The answer that `ask` raises again."""
    return {"error": {"kind": type(error).__name__, "message": str(error)}}


def _received(lines: IO[bytes]) -> dict[str, Any]:
    said = load_json(lines.readline(_LONGEST_ANSWER))
    if not isinstance(said, dict):
        raise ValueError("not an object")  # noqa: TRY004 - what is wrong is what was received
    return said


def _error(said: Mapping[str, Any]) -> CodeIndexError:
    kind = getattr(errors, str(said.get("kind")), CodeIndexError)
    known = isinstance(kind, type) and issubclass(kind, CodeIndexError)
    return (kind if known else CodeIndexError)(str(said.get("message")))
