from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from code_index.repository.subprojects import ROOT, Subproject, Subprojects, find_subprojects, is_manifest


def found(manifests: dict[str, str | bytes]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Folder → name, and the warnings."""
    contents = {
        path: content if isinstance(content, bytes) else content.encode() for path, content in manifests.items()
    }
    subprojects, warnings = find_subprojects(contents, "repo")
    return {subproject.path: subproject.name for subproject in subprojects.all}, warnings


@pytest.mark.parametrize(
    ("manifest", "content", "name"),
    [
        ("package.json", '{"name": "@acme/web"}', "@acme/web"),
        ("package.json", b'\xef\xbb\xbf{"name": "web"}', "web"),
        ("package.json", '{"private": true, "workspaces": ["packages/*"]}', "p"),
        ("package.json", '{"name": 5, "scripts": {}}', "p"),
        ("pyproject.toml", '[project]\nname = "demo"', "demo"),
        ("pyproject.toml", '[tool.poetry]\nname = "demo"', "demo"),
        ("pyproject.toml", '[build-system]\nrequires = ["setuptools"]', "p"),
        ("pyproject.toml", "project = 5", "p"),
        ("setup.cfg", "[metadata]\nname = demo\n", "demo"),
        ("setup.cfg", "[options]\npackages = find:\n", "p"),
        ("setup.py", "setup()", "p"),
        ("setup.py", "from setuptools import setup\nsetup(\n    version='1',\n    name='acme-b',\n)", "acme-b"),
        ("setup.py", "name = 'other'\nsetuptools.setup(name=NAME, version='1')", "p"),
        ("setup.py", 'name = "before"\n', "p"),
        ("Cargo.toml", '[package]\nname = "crate"', "crate"),
        ("Cargo.toml", '[workspace]\nmembers = ["a"]', "p"),
        ("go.mod", "// comment\nmodule github.com/acme/tool/v2 // v2\n", "github.com/acme/tool/v2"),
        ("go.mod", 'module "quoted"\n', "quoted"),
        (
            "pom.xml",
            (
                "<project><!-- <artifactId>no</artifactId> --><parent><artifactId>parent</artifactId></parent>"
                "<artifactId> app </artifactId><dependencies><dependency><artifactId>dep</artifactId></dependency></dependencies>"
                "</project>"
            ),
            "app",
        ),
        ("pom.xml", "<project><parent><artifactId>parent</artifactId></parent></project>", "p"),
        ("pom.xml", '<?xml version="1.0"?><project xmlns="http://maven.apache.org/POM/4.0.0"></project>', "p"),
        ("settings.gradle", "rootProject.name = 'shop'\ninclude 'a'", "shop"),
        ("settings.gradle.kts", 'rootProject.name = "shop"', "shop"),
        ("build.gradle", "plugins {}", "p"),
        ("build.gradle.kts", "plugins {}", "p"),
        ("composer.json", '{"name": "acme/blog"}', "acme/blog"),
        ("deno.jsonc", '{ // comment\n "name": "@acme/mod" }', "@acme/mod"),
        ("project.json", '{"name": "lib", "targets": {}}', "lib"),
        ("project.json", '{"$schema": "../../node_modules/nx/schemas/project-schema.json", "name": "data"}', "data"),
        ("project.json", '{"$schema": "node_modules\\\\nx\\\\schemas\\\\project-schema.json", "name": "data"}', "data"),
        ("pubspec.yaml", "name: flutter_app\nversion: 1", "flutter_app"),
        ("mix.exs", "def project do [app: :phoenix, version: 1] end", "phoenix"),
        ("Package.swift", 'let package = Package(\n    name: "Kit",', "Kit"),
        ("DESCRIPTION", "Type: Package\nPackage: dplyr\n", "dplyr"),
        ("build.zig.zon", '.{ .name = "zap", }', "zap"),
        ("build.zig.zon", ".{ .name = .zap, }", "zap"),
        ("build.sbt", 'name := "spark"', "spark"),
        ("dune-project", "(lang dune 3.0)\n(name irmin)", "irmin"),
        ("Project.toml", 'name = "Flux"', "Flux"),
        ("Web.Api.csproj", "<Project/>", "Web.Api"),
        ("Core.fsproj", "<Project/>", "Core"),
        ("rack.gemspec", "Gem::Specification.new", "rack"),
        ("lens.cabal", "name: lens", "lens"),
        ("Gemfile", "gem 'rails'", "p"),
    ],
)
def test_each_kind_of_manifest_gives_its_name(manifest: str, content: str | bytes, name: str) -> None:
    assert is_manifest(manifest)
    assert found({f"p/{manifest}": content}) == ({"p": name}, ())


@pytest.mark.parametrize(
    ("manifest", "content"),
    [
        ("package.json", '{"type": "module"}'),
        ("pyproject.toml", "[tool.ruff]\nline-length = 120"),
        ("setup.cfg", "[flake8]\nmax-line-length = 120"),
        ("project.json", '{"title": "anything"}'),
    ],
)
def test_settings_under_a_manifests_name_make_no_subproject(manifest: str, content: str) -> None:
    assert found({f"p/{manifest}": content}) == ({}, ())


@pytest.mark.parametrize(
    ("manifest", "content", "complaint"),
    [
        ("package.json", "{", "not valid JSON"),
        ("package.json", "[]", "not a JSON object"),
        ("package.json", b"\xff", "not valid JSON"),
        ("package.json", "[" * 100_000, "not valid JSON"),
        ("composer.json", "{", "not valid JSON"),
        ("pyproject.toml", "= 5", "not valid TOML"),
        ("pyproject.toml", b"\xff", "not valid TOML"),
        ("Cargo.toml", "[package", "not valid TOML"),
        ("setup.cfg", "no section", "not valid INI"),
        ("setup.cfg", b"\xff", "not valid INI"),
        ("pom.xml", "<html></html>", "not a POM"),
    ],
)
def test_a_broken_manifest_names_its_folder_and_is_reported(
    manifest: str, content: str | bytes, complaint: str
) -> None:
    names, warnings = found({f"apps/p/{manifest}": content})
    assert names == {"apps/p": "p"}
    assert len(warnings) == 1
    assert warnings[0].startswith(f"apps/p/{manifest}: {complaint}")


def test_a_stated_name_wins_over_a_folder_name_and_a_readable_manifest_over_a_broken_one() -> None:
    assert found({"p/setup.py": "", "p/package.json": '{"name": "js"}'})[0] == {"p": "js"}
    assert found({"p/pyproject.toml": "=", "p/Cargo.toml": '[package]\nname = "crate"'})[0] == {"p": "crate"}
    assert found({"p/package.json": '{"name": "js"}', "p/pyproject.toml": '[project]\nname = "py"'})[0] == {"p": "py"}
    assert found({"p/B.csproj": "", "p/A.csproj": "", "p/build.gradle": ""})[0] == {"p": "A"}


def test_the_root_is_a_subproject_of_its_own() -> None:
    assert found({"package.json": '{"name": "top"}'})[0] == {ROOT: "top"}
    assert found({"setup.py": ""})[0] == {ROOT: "repo"}


@pytest.mark.parametrize("name", ["README.md", "Makefile", "package-lock.json", "csproj.txt", "my-package.json"])
def test_other_files_are_no_manifests(name: str) -> None:
    assert not is_manifest(name)


def test_the_nearest_subproject_above_a_file_names_it() -> None:
    top, web, api = Subproject("top", ROOT), Subproject("web", "apps/web"), Subproject("api", "apps/web/api")
    subprojects = Subprojects([api, top, web])
    assert subprojects.all == (top, web, api)
    for _ in range(2):  # the second time from memory
        assert subprojects.nearest("a.py") is top
        assert subprojects.nearest("apps/b.py") is top
        assert subprojects.nearest("apps/web/c.py") is web
        assert subprojects.nearest("apps/website/c.py") is top
        assert subprojects.nearest("apps/web/src/deep/c.py") is web
        assert subprojects.nearest("apps/web/api/d.py") is api
    assert Subprojects([web]).nearest("a.py") is None
    assert Subprojects([web]).nearest("other/a.py") is None


_folder = st.lists(st.sampled_from("ab"), max_size=4).map("/".join)


@given(folders=st.sets(_folder), paths=st.lists(_folder, min_size=1))
def test_nearest_agrees_with_a_search_for_the_longest_prefix(folders: set[str], paths: list[str]) -> None:
    subprojects = Subprojects(Subproject(f"name of {folder}", folder or ROOT) for folder in folders)
    for path in paths:
        file_path = f"{path}/f.py" if path else "f.py"
        above = [folder for folder in folders if not folder or file_path.startswith(f"{folder}/")]
        expected = f"name of {max(above, key=len)}" if above else None
        nearest = subprojects.nearest(file_path)
        assert (nearest.name if nearest else None) == expected


def test_the_native_side_of_an_app_belongs_to_the_app():
    app = {
        "apps/mobile/package.json": '{"name": "@acme/mobile", "version": "1"}',
        "apps/mobile/ios/Gemfile": "source 'x'",
        "apps/mobile/android/settings.gradle": "rootProject.name = 'Mobile'",
        "apps/mobile/android/app/build.gradle": "android {}",
        "flutter/pubspec.yaml": "name: shop",
        "flutter/android/app/build.gradle.kts": "android {}",
        "flutter/windows/runner.csproj": "<Project/>",
    }
    assert found(app)[0] == {"apps/mobile": "@acme/mobile", "flutter": "shop"}


def test_a_native_project_without_an_app_above_it_is_its_own():
    native = {
        "ios/Gemfile": "",
        "android/app/build.gradle": "",
        "web/package.json": '{"name": "web"}',
        "web/android/package.json": '{"name": "plugin"}',
    }
    assert found(native)[0] == {"ios": "ios", "android/app": "app", "web": "web", "web/android": "plugin"}


def test_a_hostile_pom_is_read_in_linear_time():
    started = time.process_time()
    found({"pom.xml": "<parent>" * 130_000, "a/pom.xml": "<!--" * 260_000, "b/setup.py": "setup(" * 170_000})
    assert time.process_time() - started < 5
