from __future__ import annotations

import pytest

from code_index.repository.skip_rules import entered_folder_reason, file_name_reason, folder_reason


def category(reason: str | None) -> str | None:
    return None if reason is None else reason.partition(":")[0]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (".env .env.local .envrc prod.env .ENV", "likely secret"),
        (
            "id_rsa id_ed25519 deploy_id_rsa server.pem tls.key store.p12 upload.jks putty.ppk vault.kdbx",
            "likely secret",
        ),
        (
            "credentials credentials.json aws_credentials.ini .credentials.yml secrets.yaml app-secrets.json",
            "likely secret",
        ),
        (
            ".netrc _netrc .pgpass .pypirc .npmrc .htpasswd .git-credentials client_secret_42.json passwords.txt",
            "likely secret",
        ),
        (
            "service-account.json my-service_account.json terraform.tfstate terraform.tfstate.backup kubeconfig",
            "likely secret",
        ),
        ("package-lock.json yarn.lock pnpm-lock.yaml poetry.lock uv.lock Cargo.lock go.sum Gemfile.lock", "lock file"),
        ("composer.lock flake.lock mix.lock Podfile.lock packages.lock.json gradle.lockfile", "lock file"),
        ("a.min.js a.min.css jquery-min.js app.bundle.js main.chunk.js a.js.map b.css.map", "bundle"),
        (
            "x.pb.go x_pb2.py x_pb2_grpc.py x_pb2.pyi x.pb.cc x.pb.h x_pb.js x_grpc_pb.d.ts x_services_pb.rb",
            "generated",
        ),
        ("a.PNG a.jpg a.zip a.tar.gz a.so a.pyc a.class a.wasm a.woff2 a.pdf a.sqlite a.parquet .DS_Store", "binary"),
        (".git", "version control"),
        (
            (
                "main.py index.js lock.py credentials.py secrets.py Secret.java keys.ts env.py environment.ts id_rsa.pub a.map "
                "min.js admin.js bundle.js README .gitignore .editorconfig package.json Makefile png .png logo.svg "
                "private_key.py passwords.py go.mod lockfile.ts a.snap chunk.js map.ts zip pem.go .environs.py"
            ),
            None,
        ),
    ],
)
def test_names_have_their_category(names: str, expected: str | None) -> None:
    found = {name: category(file_name_reason(name)) for name in names.split()}
    wrong = {name: reason for name, reason in found.items() if reason != expected}
    assert wrong == ({".environs.py": "likely secret"} if expected is None else {})  # `.env*` takes it along


@pytest.mark.parametrize(
    ("name", "siblings", "tracked", "expected"),
    [
        ("node_modules", "package.json", False, "dependency folder: node_modules"),
        ("node_modules", "package.json", True, None),
        ("Pods", "", False, "dependency folder: Pods"),
        ("Pods", "PodList.tsx", True, None),
        ("Pods", "Podfile", True, "dependency folder that git tracks: Pods beside Podfile"),
        (".yarn", "package.json", True, None),
        (".cache", "", True, None),
        (".ssh", "", True, "likely secret: .ssh"),
        ("__pycache__", "", False, "cache folder: __pycache__"),
        (".idea", "", False, "editor folder: .idea"),
        (".idea", "", True, None),
        (".svn", "", True, "version control: .svn"),
        ("demo.egg-info", "", False, "build folder: demo.egg-info"),
        ("demo-1.0.dist-info", "", False, "dependency folder: demo-1.0.dist-info"),
        ("cmake-build-debug", "", False, "build folder: cmake-build-debug"),
        ("src", "package.json", False, None),
        (".vscode", "package.json", False, None),
        (".github", "package.json", False, None),
        ("build", "", False, None),
        ("build", "package.json", False, "build folder: build beside package.json"),
        ("build", "package.json", True, None),
        ("dist", "package.json", False, "build folder: dist beside package.json"),
        ("dist", "package.json", True, None),
        ("dist", "notes.md", False, None),
        ("target", "Cargo.toml", False, "build folder: target beside Cargo.toml"),
        ("target", "package.json", False, None),
        ("bin", "Web.csproj Api.csproj", False, "build folder: bin beside Api.csproj"),
        ("bin", "Web.csproj", True, None),
        ("bin", "package.json", False, None),
        ("obj", "Web.csproj", False, "build folder: obj beside Web.csproj"),
        ("obj", "Web.csproj", True, None),
        ("vendor", "go.mod", False, "dependency folder: vendor beside go.mod"),
        ("vendor", "go.mod", True, "dependency folder that git tracks: vendor beside go.mod"),
        ("vendor", "README.md", True, None),
        ("vendor", "orders customers", False, None),
        ("deps", "mix.exs", False, "dependency folder: deps beside mix.exs"),
        ("_build", "conf.py", False, "build folder: _build beside conf.py"),
        ("coverage", "pyproject.toml", False, None),
    ],
)
def test_folders_that_may_hold_source_need_a_manifest_beside_them(
    name: str, siblings: str, tracked: bool, expected: str | None
) -> None:
    assert folder_reason(name, set(siblings.split()), lambda: tracked) == expected


def test_git_is_not_asked_where_its_answer_decides_nothing() -> None:
    def asked() -> bool:
        pytest.fail("asked")

    assert folder_reason("src", {"package.json"}, asked) is None
    assert folder_reason("build", {"a.py"}, asked) is None


def test_a_setting_brings_in_dependencies_that_git_tracks_and_no_others() -> None:
    for name, manifest in (("vendor", "go.mod"), ("Pods", "Podfile"), ("Carthage", "Cartfile")):
        assert folder_reason(name, {manifest}, lambda: True, tracked_dependencies=True) is None
        assert folder_reason(name, {manifest}, lambda: False, tracked_dependencies=True) is not None
    assert entered_folder_reason("vendor", {"modules.txt"}, lambda: True, tracked_dependencies=True) is None
    assert entered_folder_reason("x", {"pyvenv.cfg"}, lambda: False, tracked_dependencies=True) is not None


@pytest.mark.parametrize(
    ("name", "names", "tracked", "expected"),
    [
        ("env", "pyvenv.cfg bin", False, "dependency folder: virtual environment (pyvenv.cfg)"),
        ("env", "pyvenv.cfg bin", True, "dependency folder that git tracks: pyvenv.cfg"),
        ("made", "CACHEDIR.TAG", False, "cache folder: marked by CACHEDIR.TAG"),
        ("made", "CACHEDIR.TAG", True, None),
        ("vendor", "modules.txt github.com", True, "dependency folder that git tracks: modules.txt"),
        ("vendor", "autoload.php composer", True, "dependency folder that git tracks: autoload.php"),
        ("node_modules", ".package-lock.json a", True, "dependency folder that git tracks: .package-lock.json"),
        ("node_modules", "fixture", True, None),
        ("source", "modules.txt", True, None),
        ("env", "bin lib", False, None),
    ],
)
def test_an_entry_inside_speaks_for_its_folder(name: str, names: str, tracked: bool, expected: str | None) -> None:
    assert entered_folder_reason(name, set(names.split()), lambda: tracked) == expected
