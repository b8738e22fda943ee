"""The text that is embedded for a chunk, and its identity.

Belongs here: the recipe of the text and of the name that is mixed into its vector.
Does not belong here: tokenizing, truncation and models (`code_index.embedding`).

The recipe is a line of names in words, path, qualified name and source, plus `NAME_WEIGHT` times the vector of the split
name. The line of names is worth 0.03 of NDCG@10 where one function is asked for, and costs 5 % of the tokens
(docs/search.md). The source without them is for vectors that came from another program (docs/decisions/0010): it loses
0.03 of MRR@10 on docstring-to-function retrieval, and 0.08 without the name (3,500 functions, 600 queries, MiniLM).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from code_index.core.content_kinds import ContentKind, content_kind
from code_index.core.hashing import text_hash
from code_index.core.identifiers import own_name, split_identifier


class TextRecipe(StrEnum):
    """The parts of a chunk that are embedded."""

    FULL = "full"  # a line of names in words, path, qualified name and source, with the name mixed in
    FULL_1 = "full-1"  # without the line of names: what `full` was in its first version
    SOURCE = "source"  # only the source, nothing mixed in: what single-table indexes hold


TEXT_RECIPE_VERSION: Final = "2"
"""Goes into every text's hash: raise it with any change of the texts; everything is then embedded again.

The version before stays a recipe with a name: its vectors are searched until all are made, or for good if the settings
say so."""

_VERSIONS: Final = {TextRecipe.FULL: TEXT_RECIPE_VERSION, TextRecipe.FULL_1: "1", TextRecipe.SOURCE: "source-1"}
_RECIPES: Final = {version: recipe for recipe, version in _VERSIONS.items()}

EMBEDDED_FIELDS: Final = ("file_path", "qualified_name", "chunk_type", "content", "language")
"""Fields of a chunk that decide its embedded text: the arguments of `EmbeddingInput.of_chunk`."""

NAME_WEIGHT: Final = 0.2
"""Share of the name's unit vector added to the text's unit vector before normalizing again."""

_KINDS: Final = {"function": "Function", "method": "Method", "class": "Class"}
_OTHER_KIND: Final = "Part"

# Names of a kind of thing, not of its subject; the enclosing name says that.
_GENERIC_NAMES: Final = frozenset({"init", "new", "constructor", "default", "main", "call", "index"})
_JSON_STRING_LINE: Final = re.compile(r'^[ \t]*("(?:[^"\\\n]|\\.)*"),?[ \t]*$', re.MULTILINE)


def recipe_version(recipe: TextRecipe | str) -> str:
    """The name of a recipe in the identity of vectors and in the hash of texts."""
    return _VERSIONS[TextRecipe(recipe)]


def recipe_of_version(version: str) -> TextRecipe | None:
    """The recipe of that name in the identity of vectors; None for one that this program does not know."""
    return _RECIPES.get(version)


def recipe_of_model(model_id: str) -> TextRecipe | None:
    """The recipe in the identity of vectors; None for one that this program does not know."""
    return recipe_of_version(model_id.rpartition("text=")[2])


# A chunk's own name is asked for twice, that of its file for each of its chunks.
_words_of: Final = lru_cache(maxsize=1 << 16)(split_identifier)


@dataclass(frozen=True, slots=True)
class EmbeddingInput:
    """The text of a chunk that is embedded, and the name whose vector is mixed in (nothing for an empty one)."""

    text: str
    name: str
    recipe: TextRecipe | str = TextRecipe.FULL

    @classmethod
    def of_chunk(
        cls,
        *,
        file_path: str,
        qualified_name: str,
        chunk_type: str,
        content: str,
        language: str,
        recipe: TextRecipe | str = TextRecipe.FULL,
    ) -> EmbeddingInput:
        """A line of names in words, path, qualified name and source, and the words of the symbol's own name, by spaces.

        Documentation has no line of names: its headings are words already. The source of a notebook's cells is unquoted, so that the model reads code, not JSON strings. With the
        recipe `source` it is the unchanged source, and no name.
        """
        if recipe == TextRecipe.SOURCE:
            return cls(content, "", recipe)
        if language == "jupyter":
            content = _JSON_STRING_LINE.sub(_unquote, content)
        names = "" if recipe == TextRecipe.FULL_1 else _names_line(file_path, qualified_name, chunk_type, language)
        text = "\n".join(filter(None, (names, file_path, qualified_name, content)))
        return cls(text, _name_words(qualified_name, file_path), recipe)

    @classmethod
    def of_row(cls, row: Mapping[str, Any], recipe: TextRecipe | str = TextRecipe.FULL) -> EmbeddingInput:
        """Take the text of a row of `chunks` that has at least `EMBEDDED_FIELDS`."""
        return cls.of_chunk(**{name: row[name] for name in EMBEDDED_FIELDS}, recipe=recipe)

    @property
    def text_hash(self) -> str:
        """Identity of what is embedded (text, mixed-in name, recipe), 32 hex digits.

        The same hash and the same model mean the same vector, wherever the chunk stands.
        """
        return text_hash(recipe_version(self.recipe), self.text, self.name)


def _names_line(file_path: str, qualified_name: str, chunk_type: str, language: str) -> str:
    """Names as a model reads them: `Method get user name of user store in accounts`; empty for documentation."""
    if content_kind(file_path, language) is ContentKind.DOCS:
        return ""
    words = [_KINDS.get(chunk_type, _OTHER_KIND), *_words_of(own_name(qualified_name))]
    if chunk_type == "method" and (enclosing := qualified_name.rpartition(".")[0]):
        words += ["of", *_words_of(own_name(enclosing))]
    return " ".join([*words, "in", *_words_of(file_path.rpartition("/")[2].partition(".")[0])])


def _name_words(qualified_name: str, file_path: str) -> str:
    """Words of a name; `__init__` or `main` follows the name of its enclosing definition, or of its file."""
    words = _words_of(own_name(qualified_name))
    if len(words) == 1 and words[0] in _GENERIC_NAMES:
        enclosing = qualified_name.rpartition(".")[0] or file_path.rpartition("/")[2].partition(".")[0]
        words = [*_words_of(own_name(enclosing)), *words]
    return " ".join(words)


def _unquote(match: re.Match[str]) -> str:
    try:
        text = json.loads(match[1])
    except json.JSONDecodeError:  # not JSON's escapes: an embedded line of code that only looks like a string
        return match[0]
    return str(text).removesuffix("\n")
