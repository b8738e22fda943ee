import contextlib
import errno
import json
import os
import shutil
import socket
import stat
from pathlib import Path

import pytest

from code_index.core.errors import IndexMissingError, SettingsError, StoreError, UntrustedIndexError, UsageError
from code_index.core.model import FileStatus
from code_index.index import trust as trust_module
from code_index.index.folder import IndexFolder, index_above, locate_index_folder, resolve_index_folder
from code_index.index.locks import Phase, hold, owner
from code_index.index.permissions import set_permissions
from code_index.index.source import source_repository
from code_index.index.trust import STATE_VARIABLE
from resources.instance_config import instance_config
from tests.checkout import git

# Another user's files: only root can make them.
_NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="files of another user need root")
_OTHER = 65534


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    root.mkdir()
    return root


@pytest.fixture
def folder(repository: Path) -> IndexFolder:
    folder = resolve_index_folder(repository)
    folder.create(instance_config())
    return folder


def _contents(path: Path) -> dict[str, bytes | None]:
    return {str(part): part.read_bytes() if part.is_file() else None for part in sorted(path.rglob("*"))}


def _plant(repository: Path, **record: object) -> Path:
    """Make what a stranger may commit, as `code-index` would lay it out."""
    planted = repository / ".code-index"
    for part in ("tables", "dagster", "locks"):
        (planted / part).mkdir(parents=True)
    content = {"format": 1, "repository_root": str(repository), **record}
    (planted / "index.json").write_text(json.dumps(content))
    (planted / "settings.toml").write_text("max_file_bytes = 4711")
    return planted


@pytest.mark.parametrize("mark", [None, "0" * 32, "../../../../etc/passwd", 7, ["0" * 32]])
def test_an_index_that_was_not_made_here_is_refused_and_left_as_it_is(repository, mark):
    planted = _plant(repository, **({} if mark is None else {"mark": mark}))
    before = _contents(planted)

    with pytest.raises(UntrustedIndexError, match=f"Delete it.*`code-index trust {repository}`"):
        resolve_index_folder(repository)
    with pytest.raises(UntrustedIndexError):
        locate_index_folder(repository).create(instance_config())

    assert _contents(planted) == before


@pytest.mark.parametrize("name", ["settings.toml", "complete.json", ".gitignore", "dagster/dagster.yaml"])
def test_a_folder_without_a_record_is_no_empty_one(repository, name):
    planted = repository / ".code-index" / name
    planted.parent.mkdir(parents=True, exist_ok=True)
    planted.write_text("!*")

    with pytest.raises(UntrustedIndexError, match="may have come with the repository"):
        resolve_index_folder(repository)


def test_an_empty_folder_and_one_that_only_hides_itself_pass(repository):
    (repository / ".code-index").mkdir()
    resolve_index_folder(repository)
    (repository / ".code-index" / ".gitignore").write_text("*\n")

    resolve_index_folder(repository).create(instance_config())


def test_an_index_of_one_s_own_passes_wherever_it_is_named_from(folder, repository, tmp_path):
    (tmp_path / "link").symlink_to(repository)

    assert resolve_index_folder(repository) == folder
    assert resolve_index_folder(tmp_path / "link") == folder
    assert resolve_index_folder(repository, repository / ".code-index") == folder


def test_a_copy_is_refused_until_it_is_trusted_and_the_original_stays(folder, repository, tmp_path):
    shutil.copytree(repository, tmp_path / "copy")
    with pytest.raises(UntrustedIndexError, match="copied here on purpose"):
        resolve_index_folder(tmp_path / "copy")

    locate_index_folder(tmp_path / "copy").trust()

    resolve_index_folder(tmp_path / "copy").check()
    resolve_index_folder(repository).check()


def test_an_index_that_was_restored_to_its_place_passes(folder, repository, tmp_path):
    shutil.move(folder.path, tmp_path / "backup")
    shutil.copytree(tmp_path / "backup", folder.path)

    assert resolve_index_folder(repository) == folder


def test_a_mark_of_an_older_version_s_index_comes_by_trust(repository):
    planted = _plant(repository)

    locate_index_folder(repository).trust()

    assert resolve_index_folder(repository).settings().max_file_bytes == 4711
    assert len(json.loads((planted / "index.json").read_text())["mark"]) == 32


@pytest.mark.parametrize("record", ["", "{}", "[" * 100_000])
def test_a_damaged_record_is_written_again_by_trust(folder, repository, record):
    (folder.path / "index.json").write_text(record)
    with pytest.raises((UntrustedIndexError, StoreError)):
        resolve_index_folder(repository).check()

    if record == "{}":  # a JSON object that says nothing is somebody's
        with pytest.raises(StoreError, match="cannot be read"):
            locate_index_folder(repository).trust()
    else:
        locate_index_folder(repository).trust()
        resolve_index_folder(repository).check()


def test_nothing_that_is_no_index_is_trusted(repository):
    with pytest.raises(IndexMissingError):
        locate_index_folder(repository).trust()
    (repository / "src").mkdir()
    (repository / "src" / "main.py").write_text("")

    with pytest.raises(UsageError, match="holds other things than an index"):
        locate_index_folder(repository, repository / "src").trust()


@pytest.mark.parametrize("part", ["", "index.json", "tables", "dagster/dagster.yaml", "locks/parse.lock", "a/b/c"])
@pytest.mark.parametrize("trusting", [False, True])
def test_a_link_anywhere_is_refused_and_nothing_is_written_through_it(folder, repository, tmp_path, part, trusting):
    target = tmp_path / "outside"
    place = folder.path / part
    if place.is_dir():
        shutil.move(place, target)
    else:
        target.write_text("precious")
        place.unlink(missing_ok=True)
        place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)
    before = _contents(tmp_path)

    with pytest.raises(UntrustedIndexError, match="symbolic link"):
        locate_index_folder(repository).trust() if trusting else resolve_index_folder(repository)

    assert _contents(tmp_path) == before


@pytest.mark.parametrize("name", ["settings.toml", "index.json", "tables/x", "locks/parse.lock"])
def test_a_pipe_anywhere_is_refused_at_once(folder, repository, name):
    (folder.path / name).unlink(missing_ok=True)
    os.mkfifo(folder.path / name)

    with pytest.raises(UntrustedIndexError, match="special file"):
        resolve_index_folder(repository)


def test_the_socket_of_a_process_that_serves_is_part_of_an_index_and_no_other_socket_is(folder, repository):
    def bound(path):
        # The whole path may be too long for an address.
        with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)

    bound(folder.locks_dir / "serve.socket")
    assert resolve_index_folder(repository) == folder

    for place in (folder.path / "serve.socket", folder.tables_dir / "serve.socket", folder.locks_dir / "other"):
        bound(place)
        with pytest.raises(UntrustedIndexError, match="special file"):
            resolve_index_folder(repository)
        place.unlink()
    assert resolve_index_folder(repository) == folder

    if os.geteuid() == 0:
        os.chown(folder.locks_dir / "serve.socket", 1, -1)
        with pytest.raises(UntrustedIndexError, match="special file"):
            resolve_index_folder(repository)


@pytest.mark.parametrize("name", ["link", "pipe"])
def test_what_is_no_socket_in_its_place_is_refused(folder, repository, name):
    place = folder.locks_dir / "serve.socket"
    place.symlink_to("/etc") if name == "link" else os.mkfifo(place)
    with pytest.raises(UntrustedIndexError):
        resolve_index_folder(repository)


@pytest.mark.parametrize("where", ["top", "below", "above", "gitlink"])
def test_an_index_that_git_tracks_is_refused_even_to_its_maker(repository, where):
    root = repository / "part" if where == "below" else repository
    root.mkdir(exist_ok=True)
    top = repository.parent if where == "above" else repository
    git(top, "init", "-q")
    folder = resolve_index_folder(root)
    folder.create(instance_config())
    if where == "gitlink":
        git(folder.path, "init", "-q")
        git(folder.path, "commit", "-q", "--allow-empty", "-m", "first")
        git(top, "-c", "advice.addEmbeddedRepo=false", "add", "-f", ".code-index")
    else:
        git(top, "add", "-f", str(folder.path / "settings.toml"))

    with pytest.raises(UntrustedIndexError, match=r"git tracks .*`git -C .* rm -r --cached"):
        resolve_index_folder(root)
    with pytest.raises(UntrustedIndexError, match="git tracks"):
        locate_index_folder(root).trust()


def test_a_tracked_folder_of_a_similar_name_is_not_taken_for_the_index(folder, repository):
    git(repository, "init", "-q")
    (repository / ".code-index-notes").mkdir()
    (repository / ".code-index-notes" / "a.md").write_text("# A")
    git(repository, "add", "-A")

    assert resolve_index_folder(repository) == folder


@_NEEDS_ROOT
def test_an_index_of_another_user_is_refused_until_its_owner_is_trusted_by_name(folder, repository):
    os.chown(folder.path, _OTHER, _OTHER)
    with pytest.raises(UntrustedIndexError, match=r"belongs to the user nobody.*trust --owner nobody"):
        resolve_index_folder(repository)
    with pytest.raises(UntrustedIndexError, match="belongs to the user nobody"):
        locate_index_folder(repository).trust()

    locate_index_folder(repository).trust(owner=_OTHER)

    resolve_index_folder(repository).check()


@_NEEDS_ROOT
def test_an_index_that_another_user_laid_above_is_not_looked_at(repository, monkeypatch):
    planted = _plant(repository)
    os.chown(planted, _OTHER, _OTHER)
    (repository / "project").mkdir()
    monkeypatch.chdir(repository / "project")

    assert resolve_index_folder().repository_root == repository / "project"


def test_without_a_folder_for_its_records_no_index_is_made(repository, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "file"))

    with pytest.raises(StoreError, match=f"remembers the indexes.*{STATE_VARIABLE}"):
        resolve_index_folder(repository).create(instance_config())

    assert not (repository / ".code-index" / "index.json").exists()


def test_a_record_that_is_a_link_is_not_believed(folder, repository, tmp_path):
    (record,) = Path(os.environ[STATE_VARIABLE], "code-index", "indexes").glob(
        json.loads((folder.path / "index.json").read_text())["mark"] + ".json"
    )
    shutil.move(record, tmp_path / "elsewhere")
    record.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(UntrustedIndexError):
        resolve_index_folder(repository)


def _modes(path: Path) -> dict[str, int]:
    return {str(part.relative_to(path)): stat.S_IMODE(part.stat().st_mode) for part in [path, *path.rglob("*")]}


def test_an_index_is_closed_to_others_and_its_locks_to_all(folder, repository, monkeypatch):
    (folder.tables_dir / "rows").write_text("")
    (folder.tables_dir / "rows").chmod(0o644)
    folder.path.chmod(0o755)

    folder.create(instance_config())
    closed = _modes(folder.path)
    monkeypatch.setenv("CODE_INDEX_SHARED_WITH_GROUP", "true")
    folder.create(instance_config())
    shared = _modes(folder.path)

    assert closed["."] == 0o700
    assert closed["tables/rows"] == 0o600
    assert shared["."] == shared["tables"] == 0o750
    assert shared["tables/rows"] == shared["index.json"] == 0o640
    assert shared["locks"] == 0o700
    assert all(not mode & 0o077 for mode in closed.values())


def test_lock_files_stay_closed_wherever_they_are_in_a_shared_index(folder):
    lock = folder.dagster_home / "history" / ".making.lock"
    lock.parent.mkdir(exist_ok=True)
    lock.write_text("")
    lock.chmod(0o640)

    set_permissions(folder.path, shared=True, private=folder.locks_dir)

    modes = _modes(folder.path)
    assert modes["dagster/history"] == 0o750
    assert modes["dagster/history/.making.lock"] == 0o600


def test_a_file_that_has_another_name_elsewhere_keeps_its_permissions(folder, tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("")
    outside.chmod(0o604)
    os.link(outside, folder.tables_dir / "rows")

    set_permissions(folder.path, shared=True, private=folder.locks_dir)

    assert stat.S_IMODE(outside.stat().st_mode) == 0o604


@pytest.mark.parametrize("code", [errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.ENOSYS, errno.EROFS])
def test_a_file_system_without_permissions_is_no_obstacle(folder, monkeypatch, code):
    def refuse(*_args, **_options):
        raise OSError(code, os.strerror(code))

    (folder.locks_dir / "parse.lock").write_text("")
    (folder.locks_dir / "parse.lock").chmod(0o644)
    monkeypatch.setattr(os, "chmod", refuse)
    monkeypatch.setattr(os, "fchmod", refuse)

    set_permissions(folder.path, shared=True, private=folder.locks_dir)
    with hold(folder.locks_dir, Phase.PARSE):
        assert owner(folder.locks_dir, Phase.PARSE) is not None


def test_a_disk_that_fails_to_set_permissions_is_not_hidden(folder, monkeypatch):
    def fail(*_args, **_options):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "chmod", fail)

    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        set_permissions(folder.path, shared=True, private=folder.locks_dir)


def test_permissions_that_are_as_they_should_be_cost_one_look(folder, monkeypatch):
    monkeypatch.setattr(os, "walk", lambda _: pytest.fail("looked at every file"))

    set_permissions(folder.path, shared=False, private=folder.locks_dir)


def test_who_may_only_read_a_lock_file_cannot_open_it(folder):
    lock = folder.locks_dir / "parse.lock"
    lock.write_text("")
    lock.chmod(0o644)

    with hold(folder.locks_dir, Phase.PARSE):
        assert stat.S_IMODE(lock.stat().st_mode) == 0o600
        assert owner(folder.locks_dir, Phase.PARSE) is not None


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_lock_file_that_is_none_is_named_and_left_as_it_is(folder, tmp_path, kind):
    lock = folder.locks_dir / "parse.lock"
    outside = tmp_path / "outside"
    outside.write_text("precious")
    {"link": lambda: lock.symlink_to(outside), "pipe": lambda: os.mkfifo(lock), "folder": lock.mkdir}[kind]()

    with pytest.raises(StoreError, match=r"parse\.lock"), hold(folder.locks_dir, Phase.PARSE):
        pass

    assert outside.read_text() == "precious"


def test_what_the_group_may_not_read_stays_out_of_an_index_that_it_may(folder, repository, monkeypatch):
    for name in ("open/all.py", "open/group.py", "open/own.py", "closed/all.py"):
        (repository / name).parent.mkdir(exist_ok=True)
        (repository / name).write_text("x = 1\n")
    (repository / "open" / "all.py").chmod(0o604)
    (repository / "open" / "group.py").chmod(0o640)
    (repository / "open" / "own.py").chmod(0o600)
    (repository / "closed").chmod(0o700)

    def indexed() -> list[str]:
        found = source_repository(folder, folder.settings()).scan({}).files
        return sorted(file.file_path for file in found if file.status is not FileStatus.SKIPPED)

    assert indexed() == ["closed/all.py", "open/all.py", "open/group.py", "open/own.py"]
    monkeypatch.setenv("CODE_INDEX_SHARED_WITH_GROUP", "true")
    assert indexed() == ["open/group.py"]


def test_an_index_may_be_trusted_from_several_state_folders(folder, repository, tmp_path, monkeypatch):
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "other state"))
    with pytest.raises(UntrustedIndexError):
        resolve_index_folder(repository)
    locate_index_folder(repository).trust()
    resolve_index_folder(repository).check()
    monkeypatch.undo()

    resolve_index_folder(repository).check()


def test_an_index_that_another_process_makes_meanwhile_is_no_stranger(folder, repository, monkeypatch):
    answers = iter([False, True])
    monkeypatch.setattr(trust_module, "is_trusted", lambda _: next(answers))

    assert resolve_index_folder(repository) == folder


@pytest.mark.parametrize("place", [".code-index", "sub/index", "sub"])
def test_a_link_of_the_repository_leads_to_no_index(repository, tmp_path, monkeypatch, place):
    (tmp_path / "outside").mkdir()
    (repository / place).parent.mkdir(exist_ok=True)
    (repository / place).symlink_to(tmp_path / "outside")
    monkeypatch.chdir(repository)

    for named in (place, repository / place, f"{place}/deeper"):
        with pytest.raises(UntrustedIndexError, match="symbolic link"):
            resolve_index_folder(repository, named)


def test_a_link_of_one_s_own_leads_to_an_index(repository, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")

    assert resolve_index_folder(repository, tmp_path / "link" / "index").path == tmp_path / "disk" / "index"


def test_an_index_with_settings_that_cannot_be_used_is_not_trusted(repository):
    planted = _plant(repository)
    (planted / "settings.toml").write_text("x = [")

    with pytest.raises(SettingsError):
        locate_index_folder(repository).trust()
    with pytest.raises(UntrustedIndexError):
        resolve_index_folder(repository)


def test_an_index_that_lies_elsewhere_is_trusted_for_the_repository_that_it_names(repository, tmp_path, monkeypatch):
    index = tmp_path / "indexes" / "one"
    resolve_index_folder(repository, index).create(instance_config())
    shutil.copytree(index, tmp_path / "indexes" / "copy")
    monkeypatch.chdir(tmp_path / "indexes")
    copy = locate_index_folder(None, "copy").with_recorded_root()

    copy.trust()

    assert copy.repository_root == repository
    resolve_index_folder(repository, "copy").check()
    with pytest.raises(StoreError, match="is the index of"):
        resolve_index_folder(tmp_path / "indexes", "copy").check()


def test_another_repository_than_that_of_the_variables_has_its_own_index(repository, tmp_path, monkeypatch):
    monkeypatch.setenv("CODE_INDEX_REPOSITORY", str(tmp_path / "other"))
    monkeypatch.setenv("CODE_INDEX_DIR", str(tmp_path / "other" / ".code-index"))

    assert resolve_index_folder(repository).path == repository / ".code-index"
    assert resolve_index_folder(tmp_path / "other").path == tmp_path / "other" / ".code-index"
    assert resolve_index_folder().repository_root == tmp_path / "other"


@_NEEDS_ROOT
def test_a_folder_of_another_owner_below_does_not_hide_one_s_own_index(folder, repository, monkeypatch):
    (repository / "src").mkdir()
    os.chown(repository / "src", _OTHER, _OTHER)
    monkeypatch.chdir(repository / "src")

    assert resolve_index_folder() == folder


def test_the_index_above_an_inner_one_is_named_where_both_hold_the_same_files(folder, repository):
    (repository / "src").mkdir()

    assert index_above(resolve_index_folder(repository / "src")) == repository
    git(repository, "init", "-q")
    assert index_above(resolve_index_folder(repository / "src")) == repository
    assert index_above(folder) is None


@pytest.mark.parametrize("home", ["", "relative"])
def test_a_home_that_is_no_path_is_not_written_to(repository, tmp_path, monkeypatch, home):
    monkeypatch.delenv(STATE_VARIABLE)
    monkeypatch.setenv("HOME", home)
    monkeypatch.setattr(trust_module.pwd, "getpwuid", lambda _: (_ for _ in ()).throw(KeyError))
    monkeypatch.chdir(tmp_path)

    with pytest.raises(StoreError, match=STATE_VARIABLE):
        resolve_index_folder(repository).create(instance_config())

    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["repository"]
