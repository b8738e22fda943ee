"""What the benchmarks' summary makes of their figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import as_table, publish, summarize
from benchmarks.goals import Goal, goals


def goal(value: float | None, bound: float = 2, *, at_most: bool = True) -> Goal:
    return Goal("group", "name", bound, "ms", at_most=at_most, source="parsing", value=value)


@pytest.mark.parametrize(
    ("value", "at_most", "met", "share"),
    [(1, True, True, 0.5), (2, True, True, 1), (3, True, False, 1.5), (1, False, False, 2), (4, False, True, 0.5)],
)
def test_a_goal_is_met_on_its_good_side(value: float, at_most: bool, met: bool, share: float) -> None:
    found = goal(value, at_most=at_most)
    assert found.met is met
    assert found.share == share


def test_what_did_not_run_is_neither_met_nor_missed() -> None:
    assert (goal(None).met, goal(None).share) == (None, None)
    assert {found.met for found in goals({})} == {None}
    assert "not measured" in as_table([goal(None)])
    assert "**missed**" in as_table([goal(3)])


def test_none_may_be_read_of_an_unchanged_tree() -> None:
    def reads(count: int) -> list[Goal]:
        results = {
            "unchanged": {
                "contents_read": count,
                "no_change": {"wall_s": 1.0},
                "status": {"wall_s": 0.5},
                "edits": [{"searchable_s": 9.0}],
            }
        }
        return [found for found in goals(results) if found.source == "unchanged"]

    assert [found.met for found in reads(0)] == [True, True, True, False]
    assert reads(1)[1].met is False


def test_each_repository_is_held_against_tree_sitter_by_itself_and_scaling_is_per_process() -> None:
    figures = {
        f"{name}, {kind}, {count}": {"times_alone": ratio, "chunks_per_s": 700.0, "ours_s": [4.0 / count]}
        for name, ratio in (("flask", 2.0), ("django", 4.0))
        for kind in ("files with a grammar", "all files")
        for count in (1, 2)
    }
    found = {one.name: one for one in goals({"parsing": figures})}
    assert found["flask, times tree-sitter alone, 2 processes"].met is True
    assert found["django, times tree-sitter alone, 2 processes"].met is False
    assert found["speed-up a processor added, all files"].value == 1


def test_goals_of_a_gpu_are_held_to_what_was_measured_on_one() -> None:
    cosines = {"float32": {"least": 0.9999}, "int8": {"least": 0.98}}
    phase = {"chunks_per_s": 9_000.0, "busy_percent": 10.0}
    little = {"failed": 0, "budget_before": 65_536, "budget_after": 16_384}
    figures = {"phase_two": phase, "beside_cpu": cosines, "little_memory": little}
    found = [one for one in goals({"cuda": figures}) if one.source == "cuda"]
    assert [(one.value, one.met) for one in found] == [(9_000.0, True), (10.0, False), (0.9999, True), (0, True)]


def test_another_engine_is_held_against_the_default_and_the_preset_against_the_peer_with_its_table() -> None:
    engines = {
        "ONNX Runtime, float32": {"seconds": [9.0, 8.0]},
        "ONNX Runtime, int8 (the default)": {"seconds": [4.0, 3.0]},
        "OpenVINO, int8": {"seconds": [2.0, 6.0]},
    }
    indexing = {"code-index": 9.0, "mcp-vector-search 4": 90.0, "semble 0.7.0": 2.0, "code-index, fast": 5.0}
    tools = {name: [{"first index": {"s": seconds, "mib": 1.0}}] for name, seconds in indexing.items()}
    found = {
        one.name: one.value
        for one in goals({"cpu_engines": {"engines": engines}, "peers": {"left out": {}, "flask": tools}})
    }
    assert found["fastest other engine on a CPU, of the default"] == 1.5
    assert found["first index by `fast`, of semble's time"] == 2.5
    assert found["first index, of mcp-vector-search's time"] == 0.1
    del tools["mcp-vector-search 4"]
    without = {
        one.name: one.value for one in goals({"peers": {"left out": {"mcp-vector-search": "why"}, "flask": tools}})
    }
    assert without["first index, of mcp-vector-search's time"] is None, "not another peer in its place"
    assert without["first index by `fast`, of semble's time"] == 2.5


def test_growth_compares_the_largest_tree_with_the_cheapest_smaller_one() -> None:
    def tree(files: int, cpu_s: float) -> dict[str, object]:
        phase = {"cpu_s": cpu_s, "main_mib": files, "worker_mib": 100}
        return {
            "files": files,
            "chunks": files * 10,
            "tables_bytes": files * 1_000,
            "records_bytes": files * 100,
            "parse": phase,
            "embed": phase,
        }

    found = {
        one.name: one
        for one in goals({"growth": {"100": tree(100, 2), "1000": tree(1_000, 10), "9000": tree(9_000, 180)}})
    }
    assert found["parse, processor time a file"].value == pytest.approx(2)
    assert found["disk a chunk"].value == pytest.approx(1)
    assert found["peak memory, main process"].met is False


def test_the_summary_has_every_goal_and_goes_between_the_marks_of_the_readme(tmp_path: Path) -> None:
    machine = {
        **dict.fromkeys(("processor", "system", "python", "dagster", "lancedb", "onnxruntime"), "x"),
        "processors_available": 2,
        "memory_gib": 4,
        "load_before": [0.1],
        "load_after": [0.2],
    }
    record = {
        "command": "python -m benchmarks.disk",
        "at": "now",
        "seed": 0,
        "machine": machine,
        "figures": {"flask": {"ratio": 1.5}},
    }
    (tmp_path / "disk.json").write_text(json.dumps(record), "utf-8")
    found, markdown = summarize(tmp_path, ["disk", "parsing"])
    assert len(json.loads((tmp_path / "summary.json").read_text("utf-8"))["goals"]) == len(found)
    assert "| disk | chunks and vectors, of a single table | at most 3 times | 1.5 | met |" in markdown
    assert (tmp_path / "goals.png").stat().st_size > 1_000
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- figures -->\nearlier figures\n<!-- end of figures -->\nafter\n", "utf-8")
    (tmp_path / "images").mkdir()
    publish(markdown, tmp_path, readme, tmp_path / "images")
    assert (tmp_path / "images" / "goals.png").is_file()
    text = readme.read_text("utf-8")
    assert "earlier figures" not in text
    assert text.startswith("before\n")
    assert text.endswith("-->\nafter\n")
    readme.write_text("no marks", "utf-8")
    with pytest.raises(SystemExit, match="has no <!-- figures -->"):
        publish(markdown, tmp_path, readme, tmp_path)
