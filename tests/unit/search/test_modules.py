"""What a module that a file names is among the files of an index."""

from __future__ import annotations

import pytest

from code_index.search.modules import ModuleFiles, Modules

_MODULES = Modules(lambda: {".": "example.com/shop", "tools": "example.com/tools"})


@pytest.mark.parametrize(
    ("language", "module", "importer", "path"),
    [
        ("python", "app.core", "app/main.py", "app/core.py"),
        ("python", "app.core", "tests/test_core.py", "src/app/core/__init__.py"),
        ("python", ".core", "app/main.py", "app/core.py"),
        ("python", "..core", "app/web/main.py", "app/core.pyi"),
        ("python", ".", "app/main.py", "app/__init__.py"),
        ("typescript", "./store", "web/box.ts", "web/store.ts"),
        ("typescript", "./store.js", "web/box.ts", "web/store.ts"),
        ("typescript", "../store", "web/ui/box.tsx", "web/store/index.ts"),
        ("typescript", ".", "web/box.ts", "web/index.ts"),
        ("tsx", "@/lib/store", "web/src/box.tsx", "web/src/lib/store.ts"),
        ("typescript", "@shop/store/shelf", "web/box.ts", "packages/store/src/shelf.ts"),
        ("go", "example.com/shop/store", "main.go", "store/save.go"),
        ("go", "example.com/shop", "cmd/main.go", "shop.go"),
        ("go", "example.com/tools/lint", "main.go", "tools/lint/lint.go"),
        ("rust", "crate::store", "src/main.rs", "src/store.rs"),
        ("rust", "crate::store::shelf", "src/main.rs", "src/store/shelf/mod.rs"),
        ("rust", "super", "src/store/shelf.rs", "src/store/mod.rs"),
        ("rust", "super", "src/store.rs", "src/store.rs"),
        ("rust", "shop_store::shelf", "app/src/main.rs", "crates/shop-store/src/shelf.rs"),
        ("java", "com.shop.Till", "src/com/shop/Main.java", "src/com/shop/Till.java"),
    ],
)
def test_a_module_is_its_file(language: str, module: str, importer: str, path: str) -> None:
    assert _MODULES.means(module, language, importer, path)


@pytest.mark.parametrize(
    ("language", "module", "importer", "path"),
    [
        ("python", "app.core", "app/main.py", "app/core_old.py"),
        ("python", "core", "app/main.py", "app/score.py"),
        ("python", ".core", "app/main.py", "other/core.py"),
        ("typescript", "./store", "web/box.ts", "store.ts"),
        ("typescript", "react", "web/box.ts", "web/store.ts"),
        ("go", "example.com/shop/store", "main.go", "tools/store/save.go"),
        ("go", "fmt", "main.go", "fmt.go"),
        ("rust", "crate::store", "a/src/main.rs", "b/src/store.rs"),
        ("rust", "std::sync", "src/main.rs", "src/store.rs"),
        ("java", "com.shop.Till", "Main.java", "src/com/shop/Tiller.java"),
        ("ruby", "store", "main.rb", "store.rb"),
    ],
)
def test_another_file_is_not(language: str, module: str, importer: str, path: str) -> None:
    assert not _MODULES.means(module, language, importer, path)


_PATHS = [
    *("app/core.py", "src/app/core/__init__.py", "app/core.pyi", "app/__init__.py", "core.py", "__init__.py"),
    *("web/store.ts", "web/store/index.ts", "web/index.ts", "web/src/lib/store.ts", "index.js", "store.vue"),
    *("packages/store/src/shelf.ts", "web/types.d.ts", "store/save.go", "shop.go", "tools/lint/lint.go", "tools/a.go"),
    *("src/store.rs", "src/lib.rs", "src/store/mod.rs", "src/store/shelf/mod.rs", "crates/shop-store/src/shelf.rs"),
    *("crates/shop-store/src/lib.rs", "build.rs", "src/com/shop/Till.java", "Till.java", "src/com/shop/till/A.java"),
]
_SPELLINGS = {
    "python": ("app.core", "core", "app", ".", "..", ".core", "..core", "...core", ""),
    "typescript": (
        "./store",
        "./store.js",
        "../store",
        ".",
        "..",
        "@/lib/store",
        "@",
        "@shop/store/shelf",
        "store",
        "./",
    ),
    "go": ("example.com/shop/store", "example.com/shop", "example.com/tools/lint", "example.com/tools", "fmt", ""),
    "rust": (
        *(
            "crate",
            "crate::store",
            "crate::store::shelf",
            "super",
            "super::super",
            "self",
            "super::store",
            "self::shelf",
        ),
        *("shop_store", "shop_store::shelf", "store", "store::shelf", "std", "crate.store", "super::super::store"),
    ),
    "java": ("com.shop.Till", "Till", "com.shop", "com.shop.till.A", ""),
    "ruby": ("store",),
}


@pytest.mark.parametrize("language", sorted(_SPELLINGS))
def test_files_are_found_by_their_words_as_by_comparing_all(language: str) -> None:
    files = ModuleFiles(_MODULES, _PATHS)
    for module in _SPELLINGS[language]:
        for importer in _PATHS:
            found = [path for path in _PATHS if _MODULES.means(module, language, importer, path)]
            assert files.of(module, language, importer) == found, (module, importer)
