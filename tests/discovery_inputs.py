"""Inputs of discovery cases that a working tree cannot hold: repositories, odd names, links, bytes.

The other cases are folders in `tests/discovery`, with `expected.json` for all.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.checkout import git

_CODE: Final = "x = 1\n"


class Input:
    """A folder that is being filled."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, path: str, content: str | bytes = _CODE) -> None:
        """Write a file."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())

    def git(self, folder: str, *arguments: str) -> None:
        """Run git in a folder."""
        (self.root / folder).mkdir(parents=True, exist_ok=True)
        git(self.root / folder, *arguments)


def _enc_declared_shift_jis(given: Input) -> None:
    text = "在庫の数を数える"
    code = f'# -*- coding: shift_jis -*-\n# {text}\ndef count_stock(name):\n    """{text}"""\n    return name\n'
    given.put("sjis.py", code.encode("shift_jis"))


def _enc_utf16_without_mark(given: Input) -> None:
    given.put("orders.sql", "CREATE TABLE narrow_orders (id INT);\r\nGO\r\n".encode("utf-16-le"))
    given.put(".gitattributes", "*.sql working-tree-encoding=UTF-16LE eol=crlf\n")
    given.git(".", "init", "-q")


def _env_example(given: Input) -> None:
    for name in (".env.example", ".env.sample", ".env.template"):
        given.put(name, "DATABASE_URL=\nPORT=8080\n")
    given.put(".env", "DATABASE_URL=secret\n")
    given.git(".", "init", "-q")
    given.git(".", "add", "-A")
    given.git(".", "commit", "-qm", "x")


def _everything_ignored_from_above(given: Input) -> None:
    given.git("home", "init", "-q")
    given.put("home/.gitignore", "*\n")
    given.put("home/project/src/a.py", "def a(): return 1\n")


def _foreign_owner(given: Input) -> None:
    given.git(".", "init", "-q")
    given.put(".gitignore", "gen/\n")
    given.put("gen/tracked.py")
    given.put("a.py")
    given.git(".", "add", "-f", "gen/tracked.py")
    given.git(".", "commit", "-qm", "x")


def _ignore_rules(given: Input) -> None:
    given.put(
        ".gitignore",
        b"\xef\xbb\xbfbomfirst.py\r\n**/vendored/\r\n*.test\r\n!keep/*\r\ntrail.py   \r\n\\#hash.py\r\nspaced\\ \r\nplugins/*\r\n!plugins/app\r\nout.log/\r\na/**/z.py\r\n/rooted.py\r\n tab.py\r\n",
    )
    for name in [
        "bomfirst.py",
        "trail.py",
        "Trail.py",
        "#hash.py",
        "rooted.py",
        "sub/rooted.py",
        "a/z.py",
        "a/b/c/z.py",
        "tab.py",
        "out.log",
        "x/vendored/f.py",
        "keep/a.test",
        "keep/sub/b.test",
        "plugins/other/o.py",
        "plugins/app/m.py",
        "ok.py",
    ]:
        given.put(name)
    given.put(" tab.py")
    given.put("spaced ")
    given.put("a/.gitignore", "!vendored\n")
    given.put("a/vendored/f.py")
    given.git(".", "init", "-q")


def _lines_cr_only(given: Input) -> None:
    given.put("cr.py", b"def first_cr():\r    return 1\r\rdef second_cr():\r    return 2\r")
    given.put("mixed.py", b"import os\r\ndef one():\n    return 1\r\ndef two():\r    return 2\n")
    given.put(
        "separators.js",
        'const a = "x\u2028y"\nfunction afterLs() {\n  return "\u2029\x0b\x0c\x85"\n}\n\x0c\nfunction afterFf() {\n  return 1\n}\n',
    )


def _links(given: Input) -> None:
    given.put("shared/o.py")
    given.put("repo/real/a.py")
    for target, name in (("real", "alias"), ("../shared", "ext"), (".", "loop"), ("nowhere", "dead")):
        (given.root / "repo" / name).symlink_to(target)


def _mono_nx_and_python(given: Input) -> None:
    given.put("nx.json", "{}")
    given.put("libs/ui/project.json", '{"name": "ui", "projectType": "library"}')
    given.put("libs/ui/a.ts", "export const a = 1\n")
    given.put(
        "libs/data/project.json", '{"$schema": "../../node_modules/nx/schemas/project-schema.json", "name": "data"}'
    )
    given.put("libs/data/b.ts", "export const b = 1\n")
    given.put("py/b/setup.py", "from setuptools import setup\nsetup(name='acme-b')\n")
    given.put("py/b/b.py")


def _mono_react_native(given: Input) -> None:
    given.put("package.json", '{"name": "acme", "private": true, "workspaces": ["apps/*"]}')
    given.put("apps/mobile/package.json", '{"name": "@acme/mobile", "version": "1.0.0"}')
    given.put("apps/mobile/src/App.tsx", "export const App = () => null\n")
    given.put("apps/mobile/ios/Gemfile", "source 'x'\n")
    given.put("apps/mobile/ios/Mobile/AppDelegate.swift", "class AppDelegate {}\n")
    given.put("apps/mobile/android/app/build.gradle", "android {}\n")
    given.put("apps/mobile/android/app/src/Main.kt", "class Main\n")


def _mono_workspaces(given: Input) -> None:
    given.put("Cargo.toml", "[workspace]\nmembers = ['crates/*']\n")
    given.put("crates/core/Cargo.toml", "[package]\nname = 'acme-core'\n")
    given.put("crates/core/src/lib.rs", "pub fn a() {}\n")
    given.put("go/go.work", "go 1.22\nuse ./svc\n")
    given.put("go/svc/go.mod", "module example.com/acme/svc\n")
    given.put("go/svc/main.go", "package main\n")
    given.put("net/Web/Web.csproj", "<Project/>")
    given.put("net/Web/P.cs", "class P {}\n")
    given.put("net/Web.Tests/Web.Tests.csproj", "<Project/>")
    given.put("net/Web.Tests/T.cs", "class T {}\n")
    given.put("ui/package.json", '{"name": "@acme/ui", "version": "1.0.0"}')
    given.put("ui/src/package.json", '{"type": "module"}')
    given.put("ui/src/b.ts", "export const b = 1\n")


def _nested_repositories(given: Input) -> None:
    for child in ("one", "two"):
        given.git(child, "init", "-q")
        given.put(f"{child}/.gitignore", "ignored.py\n")
        given.put(f"{child}/ignored.py")
        given.put(f"{child}/deep/.gitignore", "gen/\n")
        given.put(f"{child}/deep/gen/g.py")
        given.put(f"{child}/deep/ok.py")


def _odd_names(given: Input) -> None:
    names = [
        b"new\nline.py",
        b"quo\"te's.py",
        b"a...b.py",
        "😀emoji.py".encode(),
        "中文目录/类.py".encode(),
        b"bad\xff\xfe.py",
        b"-dash.py",
        b"back\\slash.py",
        b"star*.py",
        b"col:on.py",
        b"pipe|pipe.py",
        b"comma,comma.py",
        b" lead.py",
        b"tab\tname.py",
        b"[brackets].tsx",
        b"(group)/page.tsx",
        b"#hash.py",
        b"folder.py/inner.py",
        b"package.json/real.py",
        b"...",
        b"e\xcc\x81.py",
        b"\xc3\xa9.py",
        b"esc\x1b[31m.py",
        "rtl\u202e.py".encode(),
        b"x" * 240 + b".py",
    ]
    for name in names:
        given.put(os.fsdecode(name), "def odd():\n    return 1\n")


def _source_folders_named_like_caches(given: Input) -> None:
    given.put("package.json", '{"name": "names", "version": "1.0.0"}')
    for name in (
        "src/components/Pods/PodList.tsx",
        "src/components/deploy/StepCard.tsx",
        "scripts/run.ts",
        "src/build/index.ts",
        "build/webpack.config.js",
        "coverage/report.ts",
        "src/target/t.ts",
        "internal/external/e.ts",
    ):
        given.put(name, "export const a = 1\n")
    given.git(".", "init", "-q")
    given.git(".", "add", "-A")
    given.git(".", "commit", "-qm", "x")


def _worktrees(given: Input) -> None:
    given.git("main", "init", "-q")
    given.put("main/a.py")
    given.git("main", "add", "-A")
    given.git("main", "commit", "-qm", "x")
    given.put("main/.git/info/exclude", "private.py\n.trees/\n")
    given.git("main", "worktree", "add", "-q", "../side", "-b", "side")
    given.put("side/private.py")
    given.put("side/b.py")
    given.git("main", "worktree", "add", "-q", ".trees/agent", "-b", "agent")
    given.put("main/.trees/agent/c.py")
    given.git("main", "worktree", "add", "-q", "openly", "-b", "openly")
    given.put("main/openly/d.py")


MADE: Final[dict[str, Callable[[Input], None]]] = {
    "enc-declared-shift-jis": _enc_declared_shift_jis,
    "enc-utf16-without-mark": _enc_utf16_without_mark,
    "env-example": _env_example,
    "everything-ignored-from-above": _everything_ignored_from_above,
    "foreign-owner": _foreign_owner,
    "ignore-rules": _ignore_rules,
    "lines-cr-only": _lines_cr_only,
    "links": _links,
    "mono-nx-and-python": _mono_nx_and_python,
    "mono-react-native": _mono_react_native,
    "mono-workspaces": _mono_workspaces,
    "nested-repositories": _nested_repositories,
    "odd-names": _odd_names,
    "source-folders-named-like-caches": _source_folders_named_like_caches,
    "worktrees": _worktrees,
}
