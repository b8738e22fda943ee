"""Source by commit: the checkout of a commit is what a clone has, on each machine and after each interruption."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from code_index.core.errors import RepositoryError, UsageError
from code_index.core.model import SourceFile
from code_index.repository.content_rules import plan_changes
from code_index.repository.fingerprint import repository_state
from code_index.repository.origin_checkouts import check_out
from code_index.repository.origins import GitOrigin, is_local, latest_commit
from code_index.repository.source_repository import ScanResult, SourceRepository
from code_index.repository.walk import WalkOptions
from tests.checkout import git
from tests.waiting import started, wait_until

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

_CHECK_OUT = "import sys; from pathlib import Path; from code_index.repository.origins import GitOrigin; from \
code_index.repository.origin_checkouts import check_out; check_out(GitOrigin(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with all that makes a checkout differ from the blobs in it."""
    monkeypatch.setenv("CODE_INDEX_CACHE_DIR", str(tmp_path / "cache"))
    root, inner = tmp_path / "host", tmp_path / "inner"
    for folder in (root, inner):
        folder.mkdir()
        git(folder, "init", "--quiet", "--initial-branch=main")
    (inner / "inner.py").write_text("INNER = 1\n")
    git(inner, "add", "--all")
    git(inner, "commit", "--quiet", "--message=inner")
    write(
        root,
        {
            ".gitignore": "*.log\nbuild/\n",
            ".gitattributes": "*.sql working-tree-encoding=UTF-16LE\n*.bat eol=crlf\n*.bin filter=lfs\n",
            "a.py": "A = 1\n",
            "lib/b.py": "def b():\n    return 1\n",
            "lib/pyproject.toml": '[project]\nname = "b"\n',
            "build/kept.py": "KEPT = 1\n",
            "kept.log": "a line\n",
            "run.bat": "echo a\necho b\n",
            "big.bin": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
            "empty.py": "",
            "é \n.py": "ACCENT = 1\n",
        },
    )
    (root / "table.sql").write_bytes("select 1;\n".encode("utf-16-le"))
    (root / "link.py").symlink_to("a.py")
    (root / "out").symlink_to("/etc")
    git(root, "submodule", "--quiet", "add", str(inner), "inner")
    commit(root)
    git(root, "add", "--force", "build/kept.py", "kept.log")
    commit(root)
    return root


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def commit(root: Path) -> str:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=change")
    return git(root, "rev-parse", "HEAD").strip()


def scan(root: Path, known: Iterable[SourceFile] = ()) -> ScanResult:
    return SourceRepository(root).scan({file.file_path: file for file in known})


def rows(root: Path) -> list[SourceFile]:
    return [replace(file, mtime_ns=0) for file in scan(root).files]


def cloned(host: Path, folder: Path) -> Path:
    git(folder.parent, "clone", "--quiet", str(host), str(folder))
    return folder


def latest(host: Path, ref: str = "HEAD") -> str:
    return latest_commit(GitOrigin(str(host), ref))


def test_the_files_of_a_commit_are_those_of_a_clone(host: Path, tmp_path: Path) -> None:
    check_out(GitOrigin(str(host)), latest(host), tmp_path / "ours")
    clone = cloned(host, tmp_path / "clone")
    seen = rows(tmp_path / "ours")
    assert seen == rows(clone)
    assert {"build/kept.py", "kept.log", "table.sql", "big.bin", "link.py"} <= {file.file_path for file in seen}
    for path in ("table.sql", "run.bat", "big.bin", "lib/b.py"):
        assert (tmp_path / "ours" / path).read_bytes() == (clone / path).read_bytes()


def test_another_commit_is_written_where_it_differs_and_read_where_it_differs(host: Path, tmp_path: Path) -> None:
    origin, root = GitOrigin(str(host), "main"), tmp_path / "ours"
    check_out(origin, latest(host), root)
    before, same = scan(root), (root / "lib/b.py").stat()
    write(host, {"a.py": "A = 2\n", "new.py": "NEW = 1\n"})
    (host / "run.bat").unlink()
    after = commit(host)
    check_out(origin, after, root)
    assert rows(root) == rows(cloned(host, tmp_path / "clone"))
    assert (root / "lib/b.py").stat() == same
    found = scan(root, before.files)
    assert found.read_count == 2
    changes = plan_changes({file.file_path: file for file in before.files}, found.files)
    assert [file.file_path for file in changes.new] == ["new.py"]
    assert [file.file_path for file in changes.changed] == ["a.py"]
    assert changes.removed == ("run.bat",)
    assert not changes.touched


def test_another_host_neither_reads_nor_changes_what_one_host_has_scanned(
    host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(host, "rm", "--quiet", "-f", "inner", "big.bin", ".gitmodules")
    commit(host)
    found, states = [], []
    for name in ("one", "other"):
        monkeypatch.setenv("CODE_INDEX_CACHE_DIR", str(tmp_path / f"cache of {name}"))
        check_out(GitOrigin(str(host)), latest(host), tmp_path / name)
        found.append(scan(tmp_path / name, found[0].files if found else ()))
        options = WalkOptions(max_file_bytes=1 << 20, index_dir=tmp_path / "index")
        states.append(repository_state(tmp_path / name, options))
    assert found[0].read_count > 0
    assert found[1].read_count == 0
    assert found[1].files == found[0].files
    assert states[0] == states[1]


def test_the_same_content_has_the_same_time_and_another_one_another_time(host: Path, tmp_path: Path) -> None:
    origin, root = GitOrigin(str(host)), tmp_path / "ours"
    write(host, {"c.py": "A = 1\n"})
    first = commit(host)
    write(host, {"c.py": "A = 3\n"})
    second = commit(host)
    times = []
    for at in (first, second, first):
        check_out(origin, at, root)
        times.append((root / "c.py").stat().st_mtime_ns)
    assert times[0] == times[2] == (root / "a.py").stat().st_mtime_ns
    assert times[0] != times[1]


def test_a_change_of_attributes_is_a_change_of_the_files(host: Path, tmp_path: Path) -> None:
    origin, root = GitOrigin(str(host)), tmp_path / "ours"
    check_out(origin, latest(host), root)
    write(host, {".gitattributes": "*.sql working-tree-encoding=UTF-16LE\n"})
    after = commit(host)
    check_out(origin, after, root)
    assert (root / "run.bat").read_bytes() == b"echo a\necho b\n"
    assert (root / "run.bat").read_bytes() == (cloned(host, tmp_path / "clone") / "run.bat").read_bytes()


def test_what_was_damaged_or_left_by_a_killed_process_is_completed(host: Path, tmp_path: Path) -> None:
    origin, root, at = GitOrigin(str(host)), tmp_path / "ours", latest(host)
    check_out(origin, at, root)
    whole = rows(root)
    (root / "a.py").write_text("A = 99999\n")
    (root / "lib/b.py").unlink()
    write(root, {"left.py": "LEFT = 1\n", "build/left.py": "LEFT = 1\n", "nested/.git/HEAD": "ref: refs/heads/main\n"})
    (root / ".git/index.lock").touch()
    check_out(origin, at, root)
    assert rows(root) == whole
    (root / ".git/index").write_bytes(b"no index")
    check_out(origin, at, root)
    assert rows(root) == whole
    cache = next((tmp_path / "cache").rglob("repository.git"))
    (cache / "shallow.lock").touch()
    (cache / "refs/commits" / f"{at}.lock").touch()
    write(host, {"new.py": "NEW = 1\n"})
    check_out(origin, commit(host), root)
    assert rows(root) == rows(cloned(host, tmp_path / "clone"))


def test_a_cache_that_is_lost_or_has_holes_is_made_again(host: Path, tmp_path: Path) -> None:
    origin, at = GitOrigin(str(host)), latest(host)
    check_out(origin, at, tmp_path / "one")
    cache = next((tmp_path / "cache").rglob("repository.git"))
    blob = git(host, "rev-parse", "HEAD:a.py").strip()
    for lost in (cache / "objects" / blob[:2], *(cache / "objects/pack").glob("*.pack")):
        shutil.rmtree(lost) if lost.is_dir() else lost.unlink()
    check_out(origin, at, tmp_path / "two")
    shutil.rmtree(tmp_path / "cache")
    check_out(origin, at, tmp_path / "three")
    check_out(origin, at, tmp_path / "one")
    assert (
        rows(tmp_path / "one")
        == rows(tmp_path / "two")
        == rows(tmp_path / "three")
        == rows(cloned(host, tmp_path / "c"))
    )


def test_a_process_killed_while_it_writes_is_followed_by_one_that_completes_it(host: Path, tmp_path: Path) -> None:
    write(host, {f"many/{number}.py": f"N = {number}\n" * 50 for number in range(3_000)})
    at, root = commit(host), tmp_path / "ours"
    command = (sys.executable, "-c", _CHECK_OUT, host, at, root)
    with started(*command) as process:
        wait_until(lambda: (root / "many/1.py").exists() or process.poll() is not None, "the first file")
        process.send_signal(signal.SIGKILL)
    check_out(GitOrigin(str(host)), at, root)
    assert rows(root) == rows(cloned(host, tmp_path / "clone"))


def test_the_fetch_that_a_killed_process_left_is_ended(
    host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text(f"#!/bin/sh\necho $$ > '{tmp_path}/waits'\nexec sleep 600\n")
    ssh.chmod(0o755)
    at, url = latest(host), f"host.example:{host}"
    environment = {**os.environ, "GIT_SSH_COMMAND": str(ssh), "GIT_SSH_VARIANT": "ssh"}
    with started(sys.executable, "-c", _CHECK_OUT, url, at, tmp_path / "ours", env=environment) as process:
        wait_until((tmp_path / "waits").exists, "ssh")
        process.send_signal(signal.SIGKILL)
    left = int(wait_until((tmp_path / "waits").read_text, "its number"))
    ssh.write_text(_SSH)
    for name in ("GIT_SSH_COMMAND", "GIT_SSH_VARIANT"):
        monkeypatch.setenv(name, environment[name])
    check_out(GitOrigin(url), at, tmp_path / "ours")
    wait_until(lambda: not _lives(left), "the end of what the killed process started")
    assert rows(tmp_path / "ours") == rows(cloned(host, tmp_path / "clone"))


_SSH = '#!/bin/sh\nfor last; do :; done\nexec sh -c "$last"\n'


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_several_processes_share_a_cache(host: Path, tmp_path: Path) -> None:
    at = latest(host)
    running = [
        subprocess.Popen([sys.executable, "-c", _CHECK_OUT, host, at, tmp_path / name])
        for name in ("one", "two", "one")
    ]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert rows(tmp_path / "one") == rows(tmp_path / "two") == rows(cloned(host, tmp_path / "clone"))
    assert len(list((tmp_path / "cache").rglob("repository.git"))) == 1


def test_a_ref_is_a_branch_a_tag_a_full_name_or_a_commit(host: Path) -> None:
    first = git(host, "rev-parse", "HEAD~1").strip()
    last = git(host, "rev-parse", "HEAD").strip()
    git(host, "tag", "plain", first)
    git(host, "tag", "--annotate", "--message=a tag", "signed", first)
    git(host, "branch", "feature/main", first)
    named = {"HEAD": last, "main": last, "plain": first, "signed": first, "feature/main": first, first: first}
    named |= {"refs/heads/main": last, "refs/tags/signed": first}
    assert {ref: latest(host, ref) for ref in named} == named
    with pytest.raises(RepositoryError, match="has no 'none'"):
        latest(host, "none")


def test_a_host_that_gives_nothing_by_hash_is_asked_by_name(
    host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"COUNT": "1", "KEY_0": "protocol.version", "VALUE_0": "0"}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    git(host, "tag", "--annotate", "--message=a tag", "v1", "HEAD~1")
    origin = GitOrigin(str(host), "v1")
    at = latest_commit(origin)
    with pytest.raises(RepositoryError, match="unadvertised object"):
        check_out(GitOrigin(str(host), at), at, tmp_path / "by hash")
    check_out(origin, at, tmp_path / "ours")
    assert "kept.log" not in {file.file_path for file in rows(tmp_path / "ours")}
    git(host, "tag", "--force", "--annotate", "--message=another", "v1", "HEAD")
    gone = git(host, "rev-parse", "HEAD~1").strip()
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(RepositoryError, match=f"{gone} is not given by itself: scan again"):
        check_out(origin, gone, tmp_path / "ours")


def test_a_repository_of_sha256_and_a_shallow_one_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: Path
) -> None:
    monkeypatch.setenv("CODE_INDEX_CACHE_DIR", str(tmp_path / "other cache"))
    root = tmp_path / "sha256"
    root.mkdir()
    git(root, "init", "--quiet", "--object-format=sha256")
    write(root, {"a.py": "A = 1\n"})
    at = commit(root)
    assert latest(root) == at
    check_out(GitOrigin(str(root)), at, tmp_path / "ours")
    assert rows(tmp_path / "ours") == rows(root)
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{host}", "shallow")
    check_out(GitOrigin(f"file://{tmp_path}/shallow"), latest(host), tmp_path / "of shallow")
    assert rows(tmp_path / "of shallow") == rows(cloned(host, tmp_path / "clone"))


def test_the_user_s_own_settings_and_ssh_lead_to_the_host(
    host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text(_SSH)
    ssh.chmod(0o755)
    config = tmp_path / "config"
    config.write_text(
        f'[core]\nsshCommand = "{ssh}"\n[url "me@host.example:{tmp_path}/"]\ninsteadOf = https://host.example/\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    origin = GitOrigin("https://host.example/host")
    at = latest_commit(origin)
    check_out(origin, at, tmp_path / "ours")
    assert at == git(host, "rev-parse", "HEAD").strip()
    assert (tmp_path / "ours/a.py").read_text() == "A = 1\n"


def test_a_host_that_does_not_answer_is_named_without_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODE_INDEX_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    origin = GitOrigin("https://ghp_secret@host.invalid/team/flask.git")
    for ask in (lambda: latest_commit(origin), lambda: check_out(origin, "0" * 40, tmp_path / "ours")):
        with pytest.raises(RepositoryError, match=r"HEAD of https://host.invalid/team/flask.git: ") as failed:
            ask()
        assert "secret" not in str(failed.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://host/team/flask.git",
        "https://me@host:8443/team/flask.git",
        "ssh://git@host:2222/team/flask.git",
        "git@github.com:team/flask.git",
        "host:flask",
        "/srv/git/flask.git",
        "file:///srv/git/flask.git",
    ],
)
def test_addresses_of_hosts_are_taken(url: str) -> None:
    assert GitOrigin(url).url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ext::sh -c id",
        "fd::7",
        "file::/srv/git",
        "--upload-pack=id",
        "-oProxyCommand=id:x",
        "-me@host:x",
        "ssh://-oProxyCommand=id/x",
        "host:-x",
        "http://host/flask.git",
        "git://host/flask.git",
        "ftp://host/flask.git",
        "https://me:password@host/flask.git",
        "relative/path",
        "https://host",
        "https://host/a b",
        "/srv/\nx",
        "file://host/x",
    ],
)
def test_other_addresses_are_refused_without_a_password_in_the_message(url: str) -> None:
    with pytest.raises(UsageError, match="is no address of a git repository") as refused:
        GitOrigin(url)
    assert "password@" not in str(refused.value)


@pytest.mark.parametrize("ref", ["", "-x", "a b", "a..b", "main:x", "+main", "a\n", "a*", "a~1", "x.lock", "/a", "a/"])
def test_what_is_no_name_of_a_ref_is_refused(ref: str) -> None:
    with pytest.raises(UsageError, match="is no name of a ref"):
        GitOrigin("/srv/x", ref)


def test_a_path_of_this_machine_is_told_from_an_address() -> None:
    assert [is_local(url) for url in ("../x.git", "/srv/x", "~/x", "x")] == [True] * 4
    assert [is_local(url) for url in ("host:x", "https://host/x", "file:///x", "ext::x", "ftp://x/y")] == [False] * 5
