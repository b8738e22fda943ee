import errno
import json
import os
from pathlib import Path

import pytest

from code_index.core.errors import IndexMissingError, RepositoryError, StoreError, UntrustedIndexError, UsageError
from code_index.index import folder as folder_module
from code_index.index.folder import IndexFolder, resolve_index_folder
from code_index.index.settings import Settings
from resources.instance_config import instance_config
from tests.checkout import git


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("CODE_INDEX_", "DAGSTER_")):
            monkeypatch.delenv(name)


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "repository"
    root.mkdir()
    return root


def _snapshot(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def _rewrite_record(folder: IndexFolder, **changes: object) -> None:
    path = folder.path / "index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_new_index_has_its_parts_and_hides_from_git(repository):
    folder = resolve_index_folder(repository)
    assert not folder.exists

    folder.create(instance_config())

    assert folder.exists
    assert folder.path == repository / ".code-index"
    assert sorted(entry.name for entry in folder.path.iterdir()) == [
        ".gitignore",
        "dagster",
        "index.json",
        "locks",
        "settings.toml",
        "tables",
    ]
    assert (folder.path / ".gitignore").read_text() == "*\n"
    assert (folder.dagster_home / "dagster.yaml").read_text() == instance_config()
    assert folder.settings() == Settings()


def test_creating_an_index_again_changes_nothing_the_user_wrote(repository):
    folder = resolve_index_folder(repository)
    folder.create(instance_config())
    folder.settings_path.write_text("parse_workers = 1")
    before = _snapshot(folder.path)

    folder.create(instance_config())

    assert _snapshot(folder.path) == before


def test_an_instance_config_of_an_older_program_is_replaced(repository):
    folder = resolve_index_folder(repository)
    folder.create(instance_config())
    (folder.dagster_home / "dagster.yaml").write_bytes(b"old: \xff")

    folder.create(instance_config())

    assert (folder.dagster_home / "dagster.yaml").read_text() == instance_config()


def test_an_index_whose_creation_was_cut_short_is_completed(repository):
    folder = resolve_index_folder(repository)
    folder.create(instance_config())
    for part in (folder.tables_dir, folder.dagster_home / "dagster.yaml", folder.settings_path):
        part.rmdir() if part.is_dir() else part.unlink()
    with pytest.raises(IndexMissingError, match=r"never finished.*makes what is missing"):
        resolve_index_folder(repository).check()

    resolve_index_folder(repository).create(instance_config())

    folder.check()
    assert (folder.dagster_home / "dagster.yaml").read_text() == instance_config()


def test_what_a_killed_first_run_leaves_may_become_an_index(repository):
    (repository / ".code-index").mkdir()
    (repository / ".code-index" / ".index.json.0123456789ab.tmp").write_text('{"form')

    folder = resolve_index_folder(repository)
    folder.create(instance_config())

    folder.check()


def test_a_newer_index_is_refused_and_left_as_it_is(repository):
    folder = resolve_index_folder(repository)
    folder.create(instance_config())
    _rewrite_record(folder, format=2)
    (folder.dagster_home / "dagster.yaml").write_text("newer: true")
    folder.settings_path.unlink()
    before = _snapshot(folder.path)

    with pytest.raises(StoreError, match=r"newer code-index \(format 2, this one knows 1\)"):
        folder.create(instance_config())

    assert _snapshot(folder.path) == before


def test_the_index_of_another_repository_is_refused_and_left_as_it_is(repository, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    resolve_index_folder(repository, tmp_path / "index").create(instance_config())
    (tmp_path / "index" / "dagster" / "dagster.yaml").write_text("mine: true")
    before = _snapshot(tmp_path / "index")

    with pytest.raises(StoreError) as refusal:
        resolve_index_folder(other, tmp_path / "index").create(instance_config())

    assert f"is the index of {repository}, not of {other}" in str(refusal.value)
    assert "index.json" in str(refusal.value)
    assert _snapshot(tmp_path / "index") == before


def test_a_repository_that_moved_with_its_index_keeps_it(repository):
    resolve_index_folder(repository).create(instance_config())
    moved = repository.rename(repository.with_name("moved"))

    folder = resolve_index_folder(moved)
    folder.create(instance_config())
    folder.check()

    assert folder.exists


def test_an_index_that_was_never_made_is_missed_with_the_command_that_makes_it(repository):
    with pytest.raises(IndexMissingError, match=f"code-index index {repository}"):
        resolve_index_folder(repository).check()


@pytest.mark.parametrize("record", ["", "[]", "{}", '{"format": "x", "repository_root": "/"}', "\udcff", "[" * 100_000])
def test_an_unreadable_record_is_named_with_the_way_out(repository, record):
    folder = resolve_index_folder(repository)
    folder.create(instance_config())
    (folder.path / "index.json").write_bytes(record.encode("utf-8", "surrogateescape"))

    with pytest.raises(StoreError, match=r"index\.json cannot be read .* Delete .* and index again"):
        folder.check()
    with pytest.raises(UntrustedIndexError, match="code-index trust"):
        resolve_index_folder(repository)


def test_a_repository_that_is_not_there_is_refused(tmp_path):
    folder = resolve_index_folder(tmp_path / "missing")

    with pytest.raises(RepositoryError, match="missing is not a folder"):
        folder.create(instance_config())

    assert not (tmp_path / "missing").exists()


def test_a_folder_that_cannot_be_written_is_named_with_the_reason(repository, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", refuse)

    with pytest.raises(StoreError, match=r"Cannot write the index folder .*Read-only file system.*--index-dir"):
        resolve_index_folder(repository).create(instance_config())


def test_a_file_in_place_of_the_folder_is_refused(repository):
    (repository / ".code-index").write_text("")

    with pytest.raises(UntrustedIndexError, match=r"is no folder, not an index"):
        resolve_index_folder(repository).create(instance_config())


def test_a_write_that_fails_leaves_neither_a_half_file_nor_a_temporary_one(repository, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", fail)
    monkeypatch.setattr(folder_module, "remember", lambda *_: None)

    with pytest.raises(StoreError, match="No space left on device"):
        resolve_index_folder(repository).create(instance_config())

    assert list((repository / ".code-index").iterdir()) == []


def test_a_folder_that_holds_other_things_is_refused_and_left_as_it_is(repository):
    source = repository / "src"
    source.mkdir()
    (source / "main.py").write_text("")

    with pytest.raises(UsageError, match=r"holds other things than an index, such as 'main.py'"):
        resolve_index_folder(repository, source).create(instance_config())

    assert [entry.name for entry in source.iterdir()] == ["main.py"]


def test_an_empty_folder_may_become_an_index(repository, tmp_path):
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume" / "lost+found").mkdir()

    resolve_index_folder(repository, tmp_path / "volume").create(instance_config())

    assert (tmp_path / "volume" / "index.json").exists()


@pytest.mark.parametrize(
    "name", ["with space", "ünïcode", "quo'te", "#%", "100%", "[x]*", "a&b;c", "-dash", "back\\slash"]
)
def test_a_repository_in_a_weird_place_has_an_index(tmp_path, name):
    root = tmp_path / name
    root.mkdir()

    folder = resolve_index_folder(root)
    folder.create(instance_config())
    folder.check()

    assert json.loads((folder.path / "index.json").read_text())["repository_root"] == str(root)


@pytest.mark.parametrize(("name", "culprit"), [("a?b", "?"), ("a%20b", "%20"), ("a\nb", "\\n"), ("a\udcffb", "udcff")])
def test_a_path_that_the_storages_misread_is_refused_with_the_culprit(tmp_path, name, culprit):
    root = tmp_path / name
    root.mkdir()

    with pytest.raises(UsageError, match="misread") as refusal:
        resolve_index_folder(root).create(instance_config())

    assert culprit in str(refusal.value)
    assert list(root.iterdir()) == []
    folder = resolve_index_folder(root, tmp_path / "elsewhere")
    folder.create(instance_config())
    folder.check()


@pytest.mark.parametrize(("index_dir", "relation"), [(".", "is"), ("..", "contains"), ("/", "contains")])
def test_an_index_folder_that_would_hide_the_repository_is_refused(repository, index_dir, relation, monkeypatch):
    monkeypatch.chdir(repository)

    with pytest.raises(UsageError, match=f"{relation} the repository itself"):
        resolve_index_folder(repository, index_dir)


def test_an_argument_wins_over_its_variable(repository, tmp_path, monkeypatch):
    monkeypatch.setenv("CODE_INDEX_REPOSITORY", str(tmp_path / "variable"))
    monkeypatch.setenv("CODE_INDEX_DIR", str(tmp_path / "variable-index"))

    assert resolve_index_folder() == IndexFolder(tmp_path / "variable-index", tmp_path / "variable")
    assert resolve_index_folder(repository, tmp_path / "index") == IndexFolder(tmp_path / "index", repository)


def test_below_an_indexed_repository_its_index_is_found(repository, monkeypatch):
    resolve_index_folder(repository).create(instance_config())
    below = repository / "src" / "deep"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)

    assert resolve_index_folder().repository_root == repository


def test_an_index_above_the_checkout_is_not_taken(repository, monkeypatch):
    resolve_index_folder(repository).create(instance_config())
    inner = repository / "inner"
    inner.mkdir()
    git(inner, "init", "-q")
    monkeypatch.chdir(inner)

    assert resolve_index_folder().repository_root == inner


def test_below_a_submodule_the_index_of_the_whole_is_found(repository, tmp_path, monkeypatch):
    library = tmp_path / "library"
    library.mkdir()
    git(library, "init", "-q")
    git(library, "commit", "-q", "--allow-empty", "-m", "first")
    git(repository, "init", "-q")
    git(repository, "submodule", "add", "-q", str(library), "lib")
    resolve_index_folder(repository).create(instance_config())
    monkeypatch.chdir(repository / "lib")

    assert resolve_index_folder().repository_root == repository


def test_outside_of_any_index_the_working_directory_is_meant(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert resolve_index_folder() == IndexFolder(tmp_path / ".code-index", tmp_path)


def test_a_link_to_a_repository_is_the_repository(repository, tmp_path):
    (tmp_path / "link").symlink_to(repository)

    assert resolve_index_folder(tmp_path / "link").repository_root == repository


def test_a_home_of_nobody_is_refused_with_the_way_to_write_such_a_name():
    with pytest.raises(UsageError, match=r"Write \./~no-such-user"):
        resolve_index_folder("~no-such-user")


def test_the_environment_leads_dagsters_own_commands_to_the_index(repository, monkeypatch):
    folder = resolve_index_folder(repository)

    assert folder.environment() == {
        "CODE_INDEX_REPOSITORY": str(repository),
        "CODE_INDEX_DIR": str(folder.path),
        "DAGSTER_HOME": str(folder.path / "dagster"),
        "DAGSTER_EVENT_BATCH_SIZE": "1000",
    }
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "7")
    assert folder.environment()["DAGSTER_EVENT_BATCH_SIZE"] == "7"
