"""Where exported models are kept, also when that place cannot be written."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import threading
from pathlib import Path

import pytest

from code_index.core.cache import cache_folder
from code_index.core.errors import ModelError
from code_index.embedding.models import onnx_cache, prepared_files
from code_index.embedding.models.model_files import ModelFiles
from tests.waiting import PATIENCE_S


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setenv("CODE_INDEX_CACHE_DIR", str(tmp_path / "cache"))
    return ModelFiles(
        name="org/model",
        folder=tmp_path / "model",
        transformer_folder=tmp_path / "model",
        weights_sha256="ab" * 32,
        model_limit_tokens=512,
        own_window_tokens=512,
        pooling="mean",
        document_prompt="",
        query_prompt="",
        lower_case=False,
        graph_obstacle=None,
    )


class FakeExporter:
    """Stands in for the exporter's process: writes a graph and its report, or fails."""

    def __init__(self, *, status=0, stderr="", report=None, barrier=None):
        self.status = status
        self.stderr = stderr
        self.report = report or {}
        self.barrier = barrier
        self.commands = []

    def __call__(self, command, **options):
        self.commands.append(command)
        folder = Path(command[-1])
        if self.barrier is not None:
            self.barrier.wait(timeout=PATIENCE_S)
        if self.status == 0:
            (folder / onnx_cache.GRAPH_FILE).write_bytes(b"graph")
            (folder / onnx_cache.WEIGHTS_FILE).write_bytes(b"weights")
            report = {"precision": command[-2], "reason": "", "graph_bytes": 5, "weights_bytes": 7, **self.report}
            (folder / onnx_cache.REPORT_FILE).write_text(json.dumps(report))
        return subprocess.CompletedProcess(command, self.status, stdout="", stderr=self.stderr)


def run_with(monkeypatch, exporter):
    monkeypatch.setattr(prepared_files.subprocess, "run", exporter)
    return exporter


def test_the_folder_is_the_variables_then_xdgs_then_the_homes(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("CODE_INDEX_CACHE_DIR", str(tmp_path / "own"))
    own = f"user-{os.getuid()}"
    assert cache_folder() == tmp_path / "own" / own
    monkeypatch.delenv("CODE_INDEX_CACHE_DIR")
    assert cache_folder() == tmp_path / "xdg" / "code-index" / own
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == tmp_path / "home" / ".cache" / "code-index" / own


def test_a_relative_folder_is_not_taken_from_the_working_directory(monkeypatch, tmp_path, caplog):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CODE_INDEX_CACHE_DIR", ".cache")
    assert cache_folder().parent == tmp_path / "temporary"
    assert "not absolute" in caplog.text
    monkeypatch.delenv("CODE_INDEX_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", ".cache")
    assert cache_folder().parent == tmp_path / "home" / ".cache" / "code-index"


@pytest.mark.parametrize("planted", ["as a checkout makes it", "writable for all", "a link", "another user's"])
def test_a_planted_cache_folder_is_not_used(monkeypatch, tmp_path, caplog, files, planted):
    home = tmp_path / "cache" / f"user-{os.getuid()}"
    folder = tmp_path / "elsewhere" if planted == "a link" else home
    place = folder / "onnx" / onnx_cache._key(files, "int8")
    place.mkdir(parents=True)
    FakeExporter()(["", "int8", str(place)])
    folder.chmod({"as a checkout makes it": 0o755, "writable for all": 0o777}.get(planted, 0o700))
    if planted == "a link":
        home.parent.mkdir()
        home.symlink_to(folder)
    if planted == "another user's":
        real = os.getuid()
        monkeypatch.setattr("code_index.core.cache.os.getuid", lambda: real + 1)
        folder.rename(folder.with_name(f"user-{real + 1}"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    exporter = run_with(monkeypatch, FakeExporter())
    graph = onnx_cache.exported_graph(files, "int8")
    assert len(exporter.commands) == 1
    assert (tmp_path / "temporary") in graph.path.parents
    assert "others may have written to it: delete it" in caplog.text


def test_a_folder_that_cannot_be_written_is_replaced_with_a_warning(monkeypatch, tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CODE_INDEX_CACHE_DIR", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with caplog.at_level(logging.WARNING):
        folder = cache_folder()
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o777 == 0o700
    assert "set CODE_INDEX_CACHE_DIR" in caplog.text
    assert cache_folder() == folder  # the next process finds what this one made
    assert len(caplog.records) == 1


@pytest.mark.parametrize("planted", ["open", "link"])
def test_a_planted_temporary_folder_is_not_trusted(monkeypatch, tmp_path, planted):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CODE_INDEX_CACHE_DIR", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    first = cache_folder()
    first.rmdir()
    if planted == "open":
        first.mkdir()
        first.chmod(0o777)
    else:
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        first.symlink_to(tmp_path / "elsewhere")
    assert cache_folder() != first


def test_a_model_is_exported_once(files, monkeypatch):
    exporter = run_with(monkeypatch, FakeExporter())
    first = onnx_cache.exported_graph(files, "int8")
    assert onnx_cache.exported_graph(files, "int8") == first
    assert first.path.read_bytes() == b"graph"
    assert first.precision == "int8"
    assert len(exporter.commands) == 1
    assert [path.name for path in first.path.parent.parent.iterdir()] == [first.path.parent.name]


def test_weights_precision_pooling_and_library_versions_have_graphs_of_their_own(files, monkeypatch):
    run_with(monkeypatch, FakeExporter())
    paths = {onnx_cache.exported_graph(files, precision).path for precision in ("int8", "float32")}
    monkeypatch.setattr(onnx_cache, "EXPORT_VERSION", 99)
    paths.add(onnx_cache.exported_graph(files, "int8").path)
    monkeypatch.setattr(onnx_cache, "version", lambda package: "77.1")
    paths.add(onnx_cache.exported_graph(files, "int8").path)
    assert len(paths) == 4


def test_a_graph_that_strays_in_int8_is_float32_and_says_so(files, monkeypatch):
    run_with(monkeypatch, FakeExporter(report={"precision": "float32", "reason": "int8 strays"}))
    graph = onnx_cache.exported_graph(files, "int8")
    assert (graph.precision, graph.reason) == ("float32", "int8 strays")


@pytest.mark.parametrize(
    "damage", ["short graph", "short weights", "no weights", "no report", "bad report", "no fields"]
)
def test_a_damaged_cache_entry_is_made_again(files, monkeypatch, damage):
    exporter = run_with(monkeypatch, FakeExporter())
    place = onnx_cache.exported_graph(files, "int8").path.parent
    if damage == "short graph":
        (place / onnx_cache.GRAPH_FILE).write_bytes(b"gra")
    elif damage == "short weights":
        (place / onnx_cache.WEIGHTS_FILE).write_bytes(b"weight")
    elif damage == "no weights":
        (place / onnx_cache.WEIGHTS_FILE).unlink()
    elif damage == "no report":
        (place / onnx_cache.REPORT_FILE).unlink()
    else:
        (place / onnx_cache.REPORT_FILE).write_text("{" if damage == "bad report" else "{}")
    assert onnx_cache.exported_graph(files, "int8").path.read_bytes() == b"graph"
    assert len(exporter.commands) == 2


def test_two_that_export_at_once_both_get_the_graph(files, monkeypatch):
    run_with(monkeypatch, FakeExporter(barrier=threading.Barrier(2)))
    graphs = []
    threads = [
        threading.Thread(target=lambda: graphs.append(onnx_cache.exported_graph(files, "int8"))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(graphs) == 2
    assert graphs[0] == graphs[1]
    assert len(list(graphs[0].path.parent.parent.iterdir())) == 1


def test_a_failed_export_names_the_model_and_the_way_out_and_leaves_nothing(files, monkeypatch, tmp_path):
    run_with(monkeypatch, FakeExporter(status=1, stderr="unsupported operator"))
    with pytest.raises(ModelError, match=r"use backend torch for org/model.*status 1: unsupported operator"):
        onnx_cache.exported_graph(files, "int8")
    assert list((cache_folder() / "onnx").iterdir()) == []


def test_what_killed_exports_left_behind_is_swept_when_it_is_old(files, monkeypatch, tmp_path):
    run_with(monkeypatch, FakeExporter())
    old, fresh = cache_folder() / "onnx" / ".export-old", tmp_path / "cache" / "onnx" / ".export-fresh"
    for folder in (old, fresh):
        folder.mkdir(parents=True)
        (folder / "float32.onnx").write_bytes(b"part")
    os.utime(old, (1, 1))
    onnx_cache.exported_graph(files, "int8")
    assert not old.exists()
    assert fresh.exists()


def test_a_disk_that_refuses_the_graph_is_named(files, monkeypatch):
    def refuse(**options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(prepared_files.tempfile, "mkdtemp", refuse)
    with pytest.raises(ModelError, match=r"cannot be kept in .*onnx.*No space left on device"):
        onnx_cache.exported_graph(files, "int8")


def test_a_silent_death_of_the_exporter_hints_at_memory(files, monkeypatch):
    run_with(monkeypatch, FakeExporter(status=-9))
    with pytest.raises(ModelError, match="is there memory enough"):
        onnx_cache.exported_graph(files, "int8")


def test_an_export_without_end_is_stopped(files, monkeypatch):
    def hang(command, *, timeout, **options):
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(prepared_files.subprocess, "run", hang)
    with pytest.raises(ModelError, match="no result after 900 s"):
        onnx_cache.exported_graph(files, "int8")
