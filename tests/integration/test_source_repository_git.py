"""The walk's ignore rules against git's own answers."""

from __future__ import annotations

import os
import shutil
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from code_index.core.model import FileStatus
from code_index.repository import git_program
from code_index.repository.source_repository import ScanResult, SourceRepository
from tests.checkout import git

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="compares with git, which is not installed")


@pytest.fixture
def home(own_environment: None) -> Path:
    return Path.home()


def checkout(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    return folder


def write(root: Path, files: dict[str, str]) -> Path:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    return root


def indexed(result: ScanResult) -> set[str]:
    return {file.file_path for file in result.files if file.status is not FileStatus.SKIPPED}


def reasons(result: ScanResult) -> dict[str, str | None]:
    return {file.file_path: file.reason for file in result.files if file.status is FileStatus.SKIPPED}


def scan(root: Path) -> ScanResult:
    return SourceRepository(root).scan({})


def unignored_by_git(root: Path) -> set[str]:
    listed = git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return {path for path in listed.split("\0") if path}


_NAMES = ("a", "b", "ab", "a.b", "b.a", "aab", "a b", "A", "é", "[a]", "a*", "!a", "#b", "a\\b", " a", "b ", "-", "ä]")
_FOLDERS = ("", "a/", "ab/", "a/b/", "a/a/", "b/a/ab/", "a/b/a/b/", "é/", "[a]/", "a b/")
_TREE = {f"{folder}{name}.x": "x" for folder in _FOLDERS for name in _NAMES} | {
    f"{folder}f{index}": "x" for folder in _FOLDERS for index in range(2)
}

_PIECES = """a a b b f 0 1 a b .x . * * ** ? / / / /**/ **/ /** [ab] [!a] [^b] [a-] []a] [b-a] [a-c] [[:alpha:]] [[:nope:]] [
    [a \\ \\a \\* ! # é - *** [\\]] [[: [[a:] [a-\\c] \\/ ] [/] [!/] [[:space:]] [[:upper:]-z] [é]"""
_piece = st.sampled_from([*_PIECES.split(), "\\ ", " "])
_line = st.tuples(
    st.sampled_from(["", "", "", "!", "/", "!/", "**/", "\\!", "\\#"]), st.lists(_piece, min_size=1, max_size=5)
).map(lambda parts: parts[0] + "".join(parts[1])) | st.sampled_from(
    ["*", "!*/", "!*.x", "/*", "!/a", "/a/*", "!/a/b", "**", "a/", "*/", "!a/", "*.x", "!f0", "a/**", "**/a", ""]
)
_lines = st.lists(_line, min_size=1, max_size=4)
_styles = st.tuples(st.sampled_from(["\n", "\r\n"]), st.sampled_from([b"", b"\xef\xbb\xbf"]))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(checkout(tmp_path_factory.mktemp("tree")), _TREE)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(top=_lines, inner=_lines, exclude=st.lists(_line, max_size=1), style=_styles)
def test_the_walk_leaves_out_exactly_what_git_ignores(
    tree: Path, top: list[str], inner: list[str], exclude: list[str], style: tuple[str, bytes]
) -> None:
    ending, bom = style
    (tree / ".gitignore").write_bytes(bom + ending.join(top).encode())
    (tree / "a" / ".gitignore").write_text(ending.join(inner) + ending, newline="")
    (tree / ".git" / "info" / "exclude").write_text("\n".join(exclude))
    rule_files = {".gitignore", "a/.gitignore"}  # may be empty, which is no ignore rule
    assert indexed(scan(tree)) - rule_files == unignored_by_git(tree) - rule_files


def test_the_line_that_ignores_is_named(tmp_path: Path) -> None:
    root = write(checkout(tmp_path), {".gitignore": "# logs\n*.log\n", "sub/.gitignore": "local/\n"})
    write(root, {"x.log": "x", "sub/local/deep/a.py": "x", "sub/a.py": "x"})
    found = reasons(scan(root))
    assert found["x.log"] == "ignored: .gitignore:2 *.log"
    assert found["sub/local/"] == "ignored: sub/.gitignore:1 local/"
    assert not any(path.startswith("sub/local/deep") for path in found)


def test_the_global_ignore_file_is_obeyed_where_git_has_it_by_default(tmp_path: Path, home: Path) -> None:
    write(home, {".config/git/ignore": "*.swap\n"})
    root = write(checkout(tmp_path / "r"), {"a.swap": "x", "b.py": "x"})
    assert indexed(scan(root)) == {"b.py"} == unignored_by_git(root)


def test_the_global_ignore_file_is_obeyed_where_a_setting_puts_it(tmp_path: Path, home: Path) -> None:
    write(
        home,
        {"mine": "*.swap\n", ".config/git/ignore": "*.py\n", ".gitconfig": "[core]\nexcludesFile=~/mine\n"},
    )
    root = write(checkout(tmp_path / "r"), {"a.swap": "x", "b.py": "x"})
    assert indexed(scan(root)) == {"b.py"} == unignored_by_git(root)


def test_names_are_compared_without_case_where_git_does(tmp_path: Path) -> None:
    root = write(
        checkout(tmp_path), {".gitignore": "*.LOG\nTemp/X\nReadme\n", "a.log": "x", "temp/x": "x", "README": "x"}
    )
    git(root, "config", "core.ignoreCase", "true")
    assert indexed(scan(root)) == {".gitignore"} == unignored_by_git(root)


def test_a_folder_inside_a_checkout_obeys_the_ignore_files_above_it(tmp_path: Path) -> None:
    top = write(checkout(tmp_path), {".gitignore": "*.log\n/pkg/skip.py\n", "pkg/.gitignore": "/src/gen.py\n"})
    write(top, {"pkg/skip.py": "x", "pkg/src/gen.py": "x", "pkg/src/x.log": "x", "pkg/src/a.py": "x"})
    assert indexed(scan(top / "pkg")) == {".gitignore", "src/a.py"}
    assert indexed(scan(top / "pkg" / "src")) == {"a.py"}
    assert reasons(scan(top / "pkg" / "src"))["gen.py"] == "ignored: ../.gitignore:1 /src/gen.py"


def test_a_tracked_file_stays_although_a_rule_covers_it(tmp_path: Path) -> None:
    root = write(checkout(tmp_path), {"logs/kept.log": "x", "logs/other.log": "x", "top.log": "x", "free.log": "x"})
    git(root, "add", "logs/kept.log", "top.log")
    write(root, {".gitignore": "logs/\n*.log\n"})
    assert indexed(scan(root)) == {".gitignore", "logs/kept.log", "top.log"} == unignored_by_git(root)
    assert set(reasons(scan(root))) >= {"logs/other.log", "free.log"}


def test_codeindexignore_has_the_word_over_tracked_files(tmp_path: Path) -> None:
    root = write(checkout(tmp_path), {"a.py": "x", "b.py": "x", ".codeindexignore": "b.py\n"})
    git(root, "add", ".")
    assert indexed(scan(root)) == {"a.py", ".codeindexignore"}


def test_a_tracked_file_stays_in_whichever_case_the_disk_has_it_where_git_ignores_case(tmp_path: Path) -> None:
    """As on macOS: `git mv` by case only, and a name that git has in NFC and the disk in NFD."""
    root = write(checkout(tmp_path), {".gitignore": "gen*\n", "Lib/Gen.py": "x", "Lib/gené.py": "x"})
    git(root, "add", "--force", ".")
    (root / "Lib").rename(root / "lib")
    (root / "lib/Gen.py").rename(root / "lib/gen.py")
    (root / "lib/gené.py").rename(root / f"lib/{unicodedata.normalize('NFD', 'gené.py')}")
    write(root, {"lib/generated.py": "x"})
    assert indexed(scan(root)) == {".gitignore"}
    git(root, "config", "core.ignoreCase", "true")
    assert indexed(scan(root)) == {".gitignore", "lib/gen.py", f"lib/{unicodedata.normalize('NFD', 'gené.py')}"}


def test_a_build_folder_that_git_tracks_is_source(tmp_path: Path) -> None:
    root = write(
        checkout(tmp_path), {"package.json": '{"name": "p"}', "build/webpack.js": "x", "sub/package.json": "{}"}
    )
    write(root, {"sub/build/out.js": "x"})
    git(root, "add", "build")
    assert {"build/webpack.js"} == {path for path in indexed(scan(root)) if path.endswith(".js")}
    assert reasons(scan(root))["sub/build/"] == "build folder: build beside package.json"


def test_a_submodule_is_indexed_under_its_own_rules(tmp_path: Path) -> None:
    library = write(checkout(tmp_path / "library"), {"lib.py": "x", "lib.log": "x", ".gitignore": "gen.py\n"})
    git(library, "add", ".")
    git(library, "commit", "--quiet", "-m", "x")
    root = write(checkout(tmp_path / "r"), {".gitignore": "*.log\n", "own.log": "x"})
    git(root, "submodule", "--quiet", "add", str(library), "external/library")
    write(root, {"external/library/gen.py": "x"})
    assert indexed(scan(root)) == {
        ".gitignore",
        ".gitmodules",
        "external/library/.gitignore",
        "external/library/lib.py",
        "external/library/lib.log",
    }
    assert reasons(scan(root))["external/library/.git"] == "version control: .git"


def test_another_working_tree_of_the_same_repository_is_not_indexed_twice(tmp_path: Path) -> None:
    root = write(checkout(tmp_path), {"a.py": "x"})
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", "x")
    git(root, "worktree", "add", "--quiet", "trees/feature")
    assert indexed(scan(root)) == {"a.py"}
    assert reasons(scan(root))["trees/feature/"] == "version control: another working tree of this repository"
    assert indexed(scan(root / "trees" / "feature")) == {"a.py"}


def test_a_linked_working_tree_obeys_the_shared_exclude_file(tmp_path: Path) -> None:
    root = write(checkout(tmp_path / "main"), {"a.py": "x"})
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", "x")
    git(root, "worktree", "add", "--quiet", str(tmp_path / "linked"))
    write(root, {".git/info/exclude": "*.log\n"})
    linked = write(tmp_path / "linked", {"x.log": "x"})
    assert indexed(scan(linked)) == {"a.py"} == unignored_by_git(linked)


def test_a_machine_without_git_finds_the_same_files_and_says_what_it_cannot_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write(
        checkout(tmp_path / "r"), {".gitignore": "*.log\n", "sub/.gitignore": "x.py\n", "sub/x.py": "x", "a.log": "x"}
    )
    write(root, {".git/info/exclude": "secret/\n", "secret/a.py": "x", "sub/y.py": "x"})
    with_git = scan(root)
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    without_git = scan(root)
    assert indexed(without_git) == indexed(with_git) == {".gitignore", "sub/.gitignore", "sub/y.py"}
    assert with_git.warnings == ()
    assert any("git is not installed" in warning and "tracks" in warning for warning in without_git.warnings)


def test_a_refusal_of_git_is_a_warning_that_quotes_it(tmp_path: Path) -> None:
    root = write(checkout(tmp_path), {"a.py": "x", ".git/index": "not an index"})
    result = scan(root)
    assert indexed(result) == {"a.py"}
    assert any("ls-files failed" in warning and "index" in warning for warning in result.warnings)


def test_the_environment_of_a_hook_does_not_lead_to_another_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = checkout(tmp_path / "other")
    root = write(checkout(tmp_path / "r"), {"a.log": "x"})
    git(root, "add", ".")
    write(root, {".gitignore": "*.log\n"})
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    assert indexed(scan(root)) == {".gitignore", "a.log"}


def test_a_repository_cannot_have_its_commands_run(tmp_path: Path) -> None:
    root = write(checkout(tmp_path / "r"), {"a.py": "x"})
    git(root, "add", ".")
    script = write(tmp_path, {"hook": f"#!/bin/sh\ntouch {tmp_path}/ran\n"}) / "hook"
    script.chmod(0o755)
    git(root, "config", "core.fsmonitor", str(script))
    assert indexed(scan(root)) == {"a.py"}
    assert not (tmp_path / "ran").exists()


def test_git_rules_can_be_switched_off(tmp_path: Path) -> None:
    root = write(checkout(tmp_path), {".gitignore": "*.log\n", "a.log": "x", ".codeindexignore": "b.py\n", "b.py": "x"})
    result = SourceRepository(root, use_gitignore=False).scan({})
    assert indexed(result) == {".gitignore", "a.log", ".codeindexignore"}


@pytest.mark.parametrize(
    "dot_git",
    [
        {".git/config": "x"},
        {".git": "gitdir: nowhere"},
        {".git": "something else"},
        {".git/HEAD": "x", ".git/commondir": "a\0b"},
    ],
)
def test_a_broken_dot_git_makes_a_plain_folder(tmp_path: Path, dot_git: dict[str, str]) -> None:
    root = write(tmp_path, dot_git | {".gitignore": "*.log\n", "a.log": "x", "a.py": "x"})
    assert indexed(scan(root)) == {".gitignore", "a.py"}


def test_a_git_that_hangs_is_given_up_with_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write(checkout(tmp_path / "r"), {"a.py": "x"})
    slow = write(tmp_path / "bin", {"git": "#!/bin/sh\nexec sleep 60\n"}) / "git"
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(git_program, "_TIMEOUT_S", 0.1)
    result = scan(root)
    assert indexed(result) == {"a.py"}
    assert any("git ls-files failed" in warning and "timed out" in warning for warning in result.warnings)


def test_what_git_tracks_is_indexed_whatever_its_folder_is_called(home: Path, tmp_path: Path) -> None:
    tracked = [
        "src/components/Pods/List.tsx",
        ".yarn/patches/a.patch",
        ".cache/keep.py",
        "build/tool.py",
        "dist/own.js",
        "obj/o.cs",
        "_build/x.py",
        "test/node_modules/fixture/index.js",
        ".idea/codeStyles.xml",
        "sub/package.json",
        "deep/vendor/v.py",
    ]
    root = write(checkout(tmp_path / "repo"), dict.fromkeys(tracked, "x = 1\n"))
    write(root, {"package.json": "{}", "Web.csproj": "<Project/>", "conf.py": "x = 1\n"})
    git(root, "add", "--all")
    write(root, {"sub/node_modules/a/a.js": "x\n", "sub/build/b.js": "x\n", "__pycache__/a.py": "x\n"})
    result = scan(root)
    assert indexed(result) == unignored_by_git(root) - {
        "sub/node_modules/a/a.js",
        "sub/build/b.js",
        "__pycache__/a.py",
    }
    assert reasons(result)["sub/node_modules/"] == "dependency folder: node_modules"


def test_dependencies_that_git_tracks_are_indexed_where_the_setting_says_so(home: Path, tmp_path: Path) -> None:
    dependencies = {"vendor/x/x.go", "vendor/modules.txt", "ios/Pods/A/a.m", "ios/Pods/Manifest.lock"}
    root = write(checkout(tmp_path / "repo"), dict.fromkeys(dependencies, "x = 1\n"))
    write(root, {"go.mod": "module a\n", "ios/Podfile": "pod 'A'\n", "main.go": "package main\n"})
    git(root, "add", "--all")
    own = {"go.mod", "ios/Podfile", "main.go"}
    assert indexed(scan(root)) == own
    assert reasons(scan(root))["vendor/"] == "dependency folder that git tracks: vendor beside go.mod"
    assert indexed(SourceRepository(root, tracked_dependencies=True).scan({})) == own | dependencies


def test_a_bare_repository_inside_is_skipped(home: Path, tmp_path: Path) -> None:
    root = write(checkout(tmp_path / "repo"), {"a.py": "x = 1\n"})
    git(root, "init", "--quiet", "--bare", "mirror.git")
    write(
        root,
        {"mixed/HEAD": "ref: refs/heads/main\n", "mixed/objects/a": "x\n", "mixed/refs/b": "x\n", "mixed/b.py": "x\n"},
    )
    write(root, {"app/HEAD/a.py": "x\n", "app/objects/b.py": "x\n", "app/refs/c.py": "x\n"})
    result = scan(root)
    assert indexed(result) == {"a.py", "mixed/b.py", "app/HEAD/a.py", "app/objects/b.py", "app/refs/c.py"}
    assert reasons(result)["mirror.git/"] == reasons(result)["mixed/objects/"] == "version control: bare repository"


@pytest.mark.parametrize("rule", ["*", "project", "/project/", "**", "proj*/", "*\n!.gitignore\n"])
def test_a_folder_that_a_rule_above_ignores_as_a_whole_is_indexed_when_it_is_named(
    home: Path, tmp_path: Path, rule: str
) -> None:
    above = write(checkout(tmp_path / "home"), {".gitignore": f"*.log\n{rule}\n"})
    root = write(above / "project", {"src/a.py": "x = 1\n", "b.log": "x\n", "c.py": "x\n", ".gitignore": "c.py\n"})
    result = scan(root)
    assert indexed(result) == {"src/a.py", ".gitignore"}
    assert reasons(result)["b.log"] == "ignored: ../.gitignore:1 *.log"
    assert any("../.gitignore:2" in warning and "as a whole" in warning for warning in result.warnings)


def test_a_rule_above_that_ignores_only_what_is_in_the_folder_holds(home: Path, tmp_path: Path) -> None:
    above = write(checkout(tmp_path / "home"), {".gitignore": "/project/*\n"})
    result = scan(write(above / "project", {"src/a.py": "x = 1\n"}))
    assert (indexed(result), result.warnings) == (set(), ())


def test_what_git_ignores_is_indexed_where_the_setting_says_so(home: Path, tmp_path: Path) -> None:
    root = write(
        checkout(tmp_path / "repo"), {".gitignore": "*\n", "a.py": "x\n", "sub/b.py": "x\n", "build/c.py": "x\n"}
    )
    write(root, {"package.json": "{}", "build/kept/d.py": "x\n", ".codeindexignore": "sub/\n"})
    assert indexed(scan(root)) == set()
    result = SourceRepository(root, use_gitignore=False).scan({})
    assert indexed(result) == {".gitignore", ".codeindexignore", "a.py", "package.json"}
    git(root, "add", "--force", "build/kept/d.py")
    assert "build/kept/d.py" in indexed(SourceRepository(root, use_gitignore=False).scan({}))
