"""The comments above a definition that document it.

Belongs here: what a comment is otherwise: a licence, an order to a tool, the title of a section, code that was taken out.
Does not belong here: their markers (`comments`), and which comments stand above a definition (`leading`).

Words decide, not a parser: a comment is one of these only where little else is likely, since a docstring that is lost
costs more than one too many.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Final

_LICENCE: Final = re.compile(
    r"\A\W*(?:copyright\b|@?licen[cs]e\b|spdx-)|\bcopyright (?:\(c\)|©|[0-9]{4}|\w+ [0-9]{4})|\bSPDX-License|\blicensed under\b"
    r"|\ball rights reserved\b|\bpermission is hereby granted\b|\bredistribution and use\b",
    re.IGNORECASE,
)
_IN_LICENCE: Final = ("copyright", "licen", "spdx", "rights reserved", "permission is", "redistribution")
"""One is in each match: most comments have none, and the look for them takes a tenth of the time."""
_ORDER: Final = re.compile(
    # linters and formatters of JavaScript
    r"(?:eslint|jshint|jslint|tslint|biome|prettier|stylelint|oxlint|deno|istanbul|c8|v8|dprint)(?:-\w+)*[-: ]"
    r"(?:disable|enable|ignore|env|global)|@ts-\w+|@flow\b|@jsx\w*|(?:jshint|jslint|globals?|exported) ?\w+:|webpack\w+:"
    # of Python
    r"|noqa\b|type: ?ignore|(?:pylint|mypy|ruff|flake8|pyright|isort|yapf): ?\w|fmt: ?(?:off|on|skip)|nosec\b|pragma\b"
    # of C, C++ and Go
    r"|NOLINT|IWYU\b|clang-\w+ (?:off|on)|cppcheck-\w+|nolint\b|go:\w+|\+build\b|lint:|revive:|export \w+$|line \S+:[0-9]"
    r"|(?:static|virtual|override|private|public|protected|explicit|inline|constructor|destructor)\.?$"
    # of others
    r"|rubocop:|steep:|typed: |frozen_string_literal|swiftlint:|sourcery:|swift-format|ktlint|detekt:|phpcs:|phpstan-|psalm-"
    r"|@phpstan|@codeCoverage|shellcheck |hlint|HLINT|scalafmt:|scalastyle:|rustfmt|luacheck:|stylua:|selene:|#* ?no critic"
    # of editors
    r"|@formatter:|@?noinspection\b|NOSONAR\b|NOPMD\b|ReSharper |MARK:|#(?:end)?region\b|-\*-|vim?:|cspell:|codespell:"
)
_RULE: Final = re.compile(r"[^\w\s]{0,3}\s*([-=*#/~+_])\1{3,}\W*")
_TITLE_IN_RULES: Final = re.compile(r"\W*[-=*#/~+_]{3,}\s*\w.*[-=*#/~+_]{3,}\W*")
_MAX_TITLE_WORDS: Final = 4
_JUDGED: Final = 200  # characters of a line
_CODE: Final = re.compile(
    r".*[;{}]\s*|[)\]}]+[,;)]*|(?:return|throw|raise|yield|await|print)\b\s*(?:[0-9(\"'\[{-]\S*|\w+\(.*)?"
    r"|[\w.$\[\]\"']+\s*(?::=|[-+*/|&]?=)\s*\S.*|[\w.$:]+\([^ ]*\)[,;]?"
    r"|(?:def|function|func|fn|class|if|for|while|else|elif|switch|try|import|from|var|let|const)\b.*[:{(,=]\s*"
)


def documenting(comments: Sequence[str], text_of: Callable[[str], str], *, marked: bool = False) -> list[str]:
    """The texts of the comments that document what is below them, in order; neighbouring line comments are judged together.

    `text_of` removes the markers of one comment. `marked` comments are documentation by their form: only a licence or an
    order to a tool is none.
    """
    kept: list[str] = []
    texts = [(comment, text_of(comment)) for comment in comments]
    meant = [item for item in texts if not _ORDER.match(item[1].strip())]
    for is_block, group in groupby(meant, key=lambda item: item[0].startswith(("/*", "{-", "=", "--["))):
        unit = list(group)
        for part in [[item] for item in unit] if is_block else [unit]:
            if not _is_licence("\n".join(text for _, text in part)) and (marked or _documents(part)):
                kept += [text for _, text in part]
    return kept


def _is_licence(text: str) -> bool:
    lower = text.lower()
    return any(word in lower for word in _IN_LICENCE) and _LICENCE.search(text) is not None


def is_rule(comment: str) -> bool:
    """Tell whether a comment is only a line of signs, whatever mark it begins with."""
    return _RULE.fullmatch(comment) is not None


def _documents(part: list[tuple[str, str]]) -> bool:
    """Tell whether the comments, each with its text, are neither the title of a section nor code that was taken out."""
    comments = [comment for comment, _ in part]
    lines = [line.strip()[:_JUDGED] for _, text in part for line in text.splitlines() if line.strip()]
    if len(comments) == 1 and _TITLE_IN_RULES.fullmatch(comments[0][:_JUDGED]):
        return False
    titles = [line for line in lines if not is_rule(line)]
    is_boxed = len(comments) > 1 and is_rule(comments[0]) and is_rule(comments[-1])
    if is_boxed and len(titles) == 1 and len(titles[0].split()) <= _MAX_TITLE_WORDS:
        return titles[0].endswith((".", "!", "?"))
    code = sum(_CODE.fullmatch(line) is not None for line in titles)
    return 2 * code < len(titles) or not titles
