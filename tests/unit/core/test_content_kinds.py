import pytest

from code_index.core.content_kinds import ContentKind, content_kind


@pytest.mark.parametrize(
    "path",
    [
        "tests/a.py",
        "pkg/test/helper.go",
        "src/__tests__/a.ts",
        "test_a.py",
        "pkg/test_a.py",
        "tree_test.go",
        "a.test.ts",
        "b.spec.js",
        "GsonTest.java",
        "WriterTests.cs",
        "examples/basic.rs",
        "spec/base_spec.rb",
    ],
)
def test_test_paths_are_known(path):
    assert content_kind(path, "python") is ContentKind.TESTS


@pytest.mark.parametrize(
    "path", ["contest/a.py", "latest.py", "src/attest.go", "testify.py", "Contest.java", "special/a.rb"]
)
def test_paths_that_only_sound_like_tests_are_not(path):
    assert content_kind(path, "python") is ContentKind.CODE


@pytest.mark.parametrize(
    ("path", "language", "kind"),
    [
        ("README.md", "markdown", ContentKind.DOCS),
        ("tests/README.md", "markdown", ContentKind.DOCS),
        ("package.json", "json", ContentKind.CONFIG),
        ("tests/fixtures/package.json", "json", ContentKind.TESTS),
        ("app/main.go", "go", ContentKind.CODE),
        ("docs/guide/index.html", "html", ContentKind.DOCS),
        ("website/index.htm", "html", ContentKind.DOCS),
        ("shop/templates/cart.html", "html", ContentKind.CODE),
        ("docs/conf.py", "python", ContentKind.CODE),
    ],
)
def test_language_tells_documentation_and_configuration(path, language, kind):
    assert content_kind(path, language) is kind
