"""`code-index completion`, in the shells themselves: what they complete, what is installed, and what undoing leaves."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from indexing_assets.cli.main import cli
from tests.terminal import said_until
from tests.waiting import PATIENCE_S

_SHELLS = ("bash", "zsh", "fish")
_BASH_COMPLETION = Path("/usr/share/bash-completion/bash_completion")
_FILES = {
    "bash": ".local/share/bash-completion/completions/code-index",
    "zsh": ".zshrc",
    "fish": ".config/fish/completions/code-index.fish",
}
# What may not be imported while a shell waits.
_HEAVY = ("numpy", "pyarrow", "lancedb", "pydantic", "polars", "onnxruntime", "dagster", "tree_sitter_language_pack")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of nobody else, in which `code-index` is on the path."""
    home = tmp_path / "home"
    home.mkdir()
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "ZDOTDIR", "BASH_COMPLETION_USER_DIR", "ENV", "BASH_ENV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return home


@pytest.fixture
def completion(home: Path) -> Callable[..., Result]:
    def run(*arguments: str, status: int = 0) -> Result:
        done = CliRunner().invoke(cli, ["completion", *arguments], prog_name="code-index")
        assert done.exit_code == status, done.output
        return done

    return run


def _needs(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")


def _completed(shell: str, line: str, script: str) -> list[str]:
    """The words that a shell offers at the end of a line."""
    _needs(shell)
    if shell == "fish":
        command = ["fish", "--no-config", "-c", f"{script}\ncomplete -C {_quoted(line)}"]
        return [word.partition("\t")[0] for word in _output(command).splitlines()]
    words = line.split(" ")
    if shell == "bash":
        # `compopt` acts only while a person types.
        asked = (
            f"compopt() {{ :; }}\n{script}\nCOMP_WORDS=({' '.join(map(_quoted, words))})\nCOMP_CWORD={len(words) - 1}\n"
        )
        return _output(
            ["bash", "--norc", "-c", asked + '_code_index_completion code-index\nprintf "%s\\n" "${COMPREPLY[@]}"']
        ).split()
    asked = (
        f"compdef() {{ :; }}\n_describe() {{ print -rl -- ${{(P)3}}; }}\ncompadd() {{ print -rl -- ${{(P)5}}; }}\n{script}\n"
        f"words=({' '.join(map(_quoted, words))})\nCURRENT={len(words)}\n_code_index_completion"
    )
    return [word.partition(":")[0] for word in _output(["zsh", "-f", "-c", asked]).splitlines()]


def _quoted(word: str) -> str:
    return f"'{word}'"


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("shell", _SHELLS)
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("code-index se", ["search", "serve", "setup"]),
        ("code-index search --files", ["--files-only"]),
        ("code-index search --mode ", ["hybrid", "semantic", "lexical"]),
        ("code-index search --language typ", ["typescript", "typst"]),
        ("code-index search --type cla", ["class"]),
        ("code-index index --phase p", ["parse"]),
        ("code-index completion ", ["bash", "zsh", "fish"]),
    ],
)
def test_a_shell_offers_commands_options_and_their_words(
    completion: Callable[..., Result], shell: str, line: str, words: list[str]
) -> None:
    assert sorted(_completed(shell, line, completion(shell).stdout)) == sorted(words)


@contextmanager
def _typing(command: list[str], cwd: Path) -> Iterator[int]:
    """An interactive shell, and the terminal that it is typed into."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, cwd=cwd, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, close_fds=True
    )
    os.close(theirs)
    try:
        yield ours
    finally:
        process.kill()
        process.wait()
        os.close(ours)


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_what_is_installed_completes_what_a_person_types(
    completion: Callable[..., Result], home: Path, shell: str
) -> None:
    _needs(shell)
    prompt = "PS1='ready: '\n"
    if shell == "bash":
        if not _BASH_COMPLETION.exists():
            pytest.skip("bash-completion is not installed")
        (home / ".bashrc").write_text(f"{prompt}. {_BASH_COMPLETION}\n")
    else:
        (home / ".zshrc").write_text(prompt)
    completion(shell, "--install")
    with _typing([shell, "-i"], home) as terminal:
        said_until(terminal, "ready: ")
        for typed, completed in (("code-index sea\t", "search"), ("--per\t", "--per-file"), ("3 --mod\t", "--mode")):
            os.write(terminal, typed.encode())
            assert completed in said_until(terminal, completed)


def test_fish_finds_what_is_installed(completion: Callable[..., Result], home: Path) -> None:
    _needs("fish")
    completion("fish", "--install")
    assert _output(["fish", "-c", "complete -C 'code-index sea'"]).split()[0] == "search"


@pytest.mark.parametrize("shell", _SHELLS)
def test_installing_twice_changes_nothing_and_undoing_leaves_no_file(
    completion: Callable[..., Result], home: Path, shell: str
) -> None:
    file = home / _FILES[shell]
    assert str(file) in completion(shell, "--install").stdout
    written = file.read_bytes()
    assert "Nothing to do" in completion(shell, "--install").stdout
    assert file.read_bytes() == written
    completion(shell, "--undo")
    assert not file.exists()
    assert "Nothing to undo" in completion(shell, "--undo").stdout


@pytest.mark.parametrize("before", [b"export A=1\n", b"export A=1", b"# caf\xe9 \xff\r\n", b"\n\n"], ids=repr)
@pytest.mark.parametrize("after", [b"", b"export B=2\n", b"\nexport B=2"], ids=repr)
def test_start_files_of_zsh_are_kept_to_the_byte(
    completion: Callable[..., Result], home: Path, before: bytes, after: bytes
) -> None:
    file = home / "dotfiles"
    file.write_bytes(before)
    file.chmod(0o600)
    (home / ".zshrc").symlink_to(file)
    completion("zsh", "--install")
    assert (home / ".zshrc").is_symlink()
    file.write_bytes(file.read_bytes() + after)
    completion("zsh", "--install")
    assert file.read_bytes().count(b"compdef _code_index_completion") == 1
    completion("zsh", "--undo")
    joint = b"\n" if after and not before.endswith(b"\n") else b""
    assert file.read_bytes() == before + joint + after
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_script_of_an_earlier_version_is_replaced(completion: Callable[..., Result], home: Path) -> None:
    completion("zsh", "--install")
    file = home / ".zshrc"
    current = file.read_text()
    file.write_text("export A=1\n" + current.replace("compadd", "old_compadd") + "export B=2\n")
    completion("zsh", "--install")
    assert file.read_text() == "export A=1\nexport B=2\n" + current


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_a_file_that_somebody_else_wrote_is_kept(completion: Callable[..., Result], home: Path, shell: str) -> None:
    file = home / _FILES[shell]
    file.parent.mkdir(parents=True)
    file.write_text("# mine\n")
    assert "did not write it" in completion(shell, "--install", status=1).stderr
    assert "Nothing to undo" in completion(shell, "--undo").stdout
    assert file.read_text() == "# mine\n"


def test_the_shell_of_the_person_is_meant_where_none_is_named(
    completion: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    for shell in _SHELLS:
        monkeypatch.setenv("SHELL", f"/opt/bin/{shell}")
        assert completion().stdout == completion(shell).stdout
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    assert "none of bash, zsh, fish" in completion(status=2).stderr
    assert "contradict each other" in completion("bash", "--install", "--undo", status=2).stderr


@pytest.mark.parametrize("words", ["code-index se", "code-index search --", "code-index search --mode "])
def test_completing_imports_nothing_heavy(home: Path, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    variables: Mapping[str, str] = {
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
        "_CODE_INDEX_COMPLETE": "bash_complete",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    program = Path(sys.executable).parent / "code-index"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", program], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.stdout.startswith("plain,")
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "indexing_assets.cli.main" in imported
    assert imported & set(_HEAVY) == set()
