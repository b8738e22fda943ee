"""Only this room asks on which system the program runs."""

from __future__ import annotations

import ast
import re
from pathlib import Path

_ROOT = Path(__file__).parents[3]
_MODULES = {"fcntl", "resource", "_scproxy", "termios", "msvcrt", "winreg"}
_PLATFORM = {
    ("sys", "platform"),
    ("os", "uname"),
    ("platform", "system"),
    ("os", "sched_getaffinity"),
    ("os", "O_PATH"),
}
_PLACES = re.compile(r"/(proc|sys)(/|$)")
# Where the program asks all the same, and why.
_EXCEPTIONS = {
    "indexing_assets/agents/table.py": "folders of other programs, which each system has in another place",
    "code_index/search/features.py": "words of paths that name a platform; the one that the search runs on is preferred",
}


def _asks(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                found |= {name.name for name in names} & _MODULES
            case ast.ImportFrom(module=str(module), level=0, names=names):
                found |= {module} & _MODULES
                found |= {f"{module}.{name.name}" for name in names if (module, name.name) in _PLATFORM}
            case ast.Attribute(value=ast.Name(id=module), attr=name) if (module, name) in _PLATFORM:
                found.add(f"{module}.{name}")
            case ast.Constant(value=str(text)) if _PLACES.match(text):
                found.add(text)
    return found


def test_nothing_outside_of_this_room_asks_which_system_it_is() -> None:
    packages = [_ROOT / package for package in ("code_index", "indexing_assets", "resources")]
    asking = {
        str(path.relative_to(_ROOT)): asks
        for package in packages
        for path in package.rglob("*.py")
        if (asks := _asks(path))
    }
    room = {path for path in asking if path.startswith("code_index/system/")}
    assert len(room) >= 4, "the test sees them"
    assert set(asking) - room == set(_EXCEPTIONS), asking
