"""A repository of what repositories should not hold, and what has to become of each part of it.

Belongs here: the files, and what is expected of them. The claims are in `test_hostile_input.py`.
"""

from __future__ import annotations

import codecs
import os
import socket
import stat
from dataclasses import dataclass, field
from pathlib import Path

MAX_FILE_BYTES = 3_000_000
SETTINGS = {
    "CODE_INDEX_MODEL": "deterministic",
    "CODE_INDEX_PARSE_WORKERS": "2",
    "CODE_INDEX_PARSE_TIMEOUT_S": "4",
    "CODE_INDEX_MAX_FILE_BYTES": str(MAX_FILE_BYTES),
}
DEPTH = 100_000

ODD_NAMES = (
    *("a b.py", " leading.py", "trailing .py ", "it's.py", 'quo"te.py', "back`tick.py", "new\nline.py", "tab\t.py"),
    *("...", "[...slug].tsx", "a...b.py", "' OR 1=1 --.py", "--", "-n.py", "--help.py", "100%.py", "%2E.py", "%s%d.py"),
    *("back\\slash.py", "\\", "star*.py", "what?.py", "[x].py", "{a,b}.py", "!bang.py", "#hash.py", "~", "~tilde.py"),
    *("$(touch x).py", ";.py", "&.py", "|.py", "<>.py", "a,b.py", "a:b.py", "C:.py", "CON", "aux.py", "@at.py", "=.py"),
    *("\x1b[31mred.py", "bell\a.py", "del\x7f.py", "cr\r.py", "c1\x9b.py", "rtl\u202etxt.py", "zero\u200bwidth.py"),
    *("ü.py", "u\u0308.py", "漢字.py", "😀.py", "\ufeffbom.py", "line\u2028sep.py", "nb\u00a0sp.py", "\U0010ffff.py"),
    *("README.TXT", "readme.txt", "Readme.txt", "n" * 252 + ".py", "é" * 126 + ".py", "_" * 200),
    *("back\\slash/in\nfolder/it's/f.py", "DIR/x.py", "dir/x.py", "Dir/X.py", "dir.py/x.py", "a/a/a/a/a", "a b/ /c.py"),
)


@dataclass(slots=True)
class Hostile:
    """What was written: `content` by path of what must be indexed, `skipped` the start of the reason by path."""

    root: Path
    content: dict[str, bytes] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def write(self, path: str, content: bytes, *, skipped: str | None = None) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        os.utime(target, (1_600_000_000, 1_600_000_000))
        if skipped is None:
            self.content[path] = content
        else:
            self.skipped[path] = skipped


def marked(number: int) -> bytes:
    """A function that a search can tell from all others."""
    return f"def quagga{number}(x):\n    return x\n".encode()


def write_hostile_repository(root: Path) -> Hostile:
    """Write it all below `root`."""
    hostile = Hostile(root)
    root.mkdir()
    for number, name in enumerate(ODD_NAMES):
        hostile.write(f"names/{name}", marked(number))
    _contents(hostile)
    _nesting(hostile)
    _skipped(hostile)
    _no_files(hostile)
    _long_paths(hostile)
    return hostile


def _contents(hostile: Hostile) -> None:
    text = "def zebra():\n    return 'é漢😀'\n"
    write = hostile.write
    write("content/utf8_bom.py", codecs.BOM_UTF8 + text.encode())
    write("content/utf16_le.py", codecs.BOM_UTF16_LE + text.encode("utf-16-le"))
    write("content/utf16_be.py", codecs.BOM_UTF16_BE + text.encode("utf-16-be"))
    write("content/utf16_without_mark.py", "def a(): pass\n".encode("utf-16-le"))
    write("content/utf16_odd.py", codecs.BOM_UTF16_LE + text.encode("utf-16-le")[:-1])
    write("content/utf16_lone_surrogate.py", codecs.BOM_UTF16_LE + b"\x00\xd8x\x00")
    write("content/utf32.py", codecs.BOM_UTF32_LE + text.encode("utf-32-le"))
    write("content/cp1252.py", "name = 'café' # “x”\n".encode("cp1252"))
    write("content/bad_utf8.py", text.encode() + b"# \xff\xfe\xc3\x28 \xed\xa0\x80 \xf4\x90\x80\x80\n")
    write("content/only_bad_bytes.txt", b"\xff\xc3\x80" * 500)
    write("content/crlf.py", text.replace("\n", "\r\n").encode())
    write("content/cr.py", text.replace("\n", "\r").encode())
    write("content/mixed_ends.py", b"a = 1\r\nb = 2\rc = 3\n\rd = 4\x85e = 5\xe2\x80\xa8f = 6\n")
    write("content/form_feeds.py", b"\f\fdef a():\n    pass\n\f\ndef b():\n    pass\n\v\f")
    write("content/late_null.py", b"# " + b"x" * 9_000 + b"\ndef okapi():\n    return '\x00\x00'\n\x00")
    write("content/controls.py", b"x = '" + bytes(c for c in range(1, 256) if c not in b"\n\r'\\") + b"'\n")
    write(
        "content/escapes.py", b'def bongo():\n    return "\x1b[2J\x1b]0;title\a\xc2\x9b31m\x1bP\x1b\\ \xe2\x80\xae"\n'
    )
    write("content/no_line_end.py", b"x = 1")
    write("content/one_character.txt", b"x")
    write("content/punctuation.py", b"(((((((( ;;;; }}}}")
    write("content/one_line.json", b"[" + b'{"name":"tapir","v":[1,2,3]},' * 60_000 + b"0]")
    write("content/one_line.py", b"x = [" + b"12345, " * 200_000 + b"]")
    write("content/one_word.txt", b"w" * 2_000_000)
    write("content/blanks.txt", b"start" + b" " * 2_000_000 + b"end")
    write("content/line_ends.txt", b"first" + b"\n" * 500_000 + b"last")
    write("content/unclosed.py", b'def f():\n    """' + b"never closed " * 2_000)
    write("content/merge.py", b"<<<<<<< HEAD\ndef a(): pass\n=======\ndef b(): pass\n>>>>>>> other\n")
    write("content/wrong_language.py", b"%!PS\nthis is { not python at all ) <?php echo 1 ?>\n" * 50)
    write("content/markup.html", b"<section id='a'><!-- " + b"<div>" * 5_000 + b"<script>" * 100)


def _nesting(hostile: Hostile) -> None:
    for name, opening, closing in (
        ("deep.json", b"[", b"]"),
        ("deep.py", b"(", b")"),
        ("deep.js", b"[", b"]"),
        ("deep.ts", b"{", b"}"),
        ("deep.c", b"{", b"}"),
        ("deep.rs", b"(", b")"),
        ("unclosed.go", b"(", b""),
        ("unclosed.cpp", b"{", b""),
        ("deep.html", b"<main>", b"</main>"),
        ("deep.md", b"> ", b""),
        ("deep.yaml", b"- ", b""),
    ):
        # Lines of a hundred: one line alone would pass for minified code.
        first, last = ((unit * 100 + b"\n") * (DEPTH // 100) if unit else b"" for unit in (opening, closing))
        hostile.write(f"nesting/{name}", first + b"1\n" + last)


def _skipped(hostile: Hostile) -> None:
    write = hostile.write
    write("skipped/binary.dat", b"\x7fELF\x00\x00" + bytes(range(256)) * 20, skipped="binary")
    write("skipped/logo.png", b"\x89PNG\r\n\x1a\n\x00", skipped="binary")
    write("skipped/empty.py", b"", skipped="empty")
    write("skipped/blank.py", b" \n\t\r\n\f\v", skipped="empty")
    write("skipped/minified.js", b"function f(a){return a+1};" * 200, skipped="bundle: minified")
    write("skipped/huge.txt", b"x" * (MAX_FILE_BYTES + 1), skipped="too large")
    with (hostile.root / "skipped/sparse.txt").open("wb") as file:
        file.truncate(1 << 40)
    hostile.skipped["skipped/sparse.txt"] = "too large"


def _no_files(hostile: Hostile) -> None:
    folder = hostile.root / "odd"
    folder.mkdir()
    links = {"loop": "loop", "here": ".", "up": "..", "gone": "missing", "out": "/etc", "ring_a": "ring_b"}
    for name, target in (links | {"ring_b": "ring_a", "zero.py": "/dev/zero", "esc\x1b[2J": "."}).items():
        (folder / name).symlink_to(target)
        hostile.skipped[f"odd/{name}"] = "symbolic link"
    os.mkfifo(folder / "pipe.py")
    hostile.skipped["odd/pipe.py"] = "not a file: pipe"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(folder / "socket.py"))
    hostile.skipped["odd/socket.py"] = "not a file: socket"
    try:
        os.mknod(folder / "device.py", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
    except PermissionError:
        pass  # only root may make one; the link to /dev/zero is tried in any case
    else:
        hostile.skipped["odd/device.py"] = "not a file: character device"
    for name, shown in ((b"bad\xff.py", "bad\\xff.py"), (b"\xe9t\xe9", "\\xe9t\\xe9")):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(b"x = 1\n")
        hostile.skipped[f"odd/{shown}"] = "name: not UTF-8"


def _long_paths(hostile: Hostile) -> None:
    """A path of as many bytes as the system takes, and one of more, which only a relative path can make."""
    part = "long" * 50
    room = 4_095 - len(os.fsencode(hostile.root)) - len("/deep")
    names = ["deep", *[part] * (room // (len(part) + 1))]
    rest = 4_095 - len(os.fsencode(hostile.root / "/".join(names))) - 1
    if rest < len("/f.py"):
        names.pop()
        rest += len(part) + 1
    name = "f" * min(rest - 3, 250) + ".py"
    hostile.write("/".join([*names, name]), marked(900))
    here = Path.cwd()
    try:
        os.chdir(hostile.root / "/".join(names))
        for _ in range(4):
            Path(part).mkdir()
            os.chdir(part)
        Path("beyond.py").write_bytes(b"x = 1\n")
    finally:
        os.chdir(here)
