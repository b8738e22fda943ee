"""The specification of a language for the engine, and the roles in its query.

Belongs here: `LanguageSpec`. Does not belong here: any one language (`languages`), the engine (`code`).

A specification is a tree-sitter query whose capture names are roles. Captures return only the nodes that
matter; walking all nodes in Python was rejected, because it costs more than parsing.

Roles of definitions
    function, class   own a chunk at the top level or in a class; a function in a function when it is long
    member            function that owns a chunk only when it is long (callbacks in object literals)
    prototype         function without a body; in a class it owns a chunk only when both are long
    overload          function without a body, which the function of its name that follows completes
    scope             namespace or module: qualifies the names inside, its text is module code
    rest              definition without a block: lasts to the next one beside it, or to the end of the enclosing node
    data              text that only looks like code (quoted lists, templates of macros): what is in it defines nothing
    passage           anonymous function that is called at once: what is in it counts as outside of it
    wrapper           extends the definition that is its last or only named child (`export`, `template`, decorated)
    signature         declares the type of the definition that follows and belongs to it
Roles of descriptions
    comment           any comment
    doc               comment that documents the definition below it, blank lines between or not
    attribute         decorator or attribute before the definition, outside its node
    decorator         decorator or attribute inside the definition's node or its wrapper
    body              body that the grammar puts beside its signature; belongs to the definition before it
    docstring         string that comes first in the body of the definition that it documents, or in one without a body
    inner_doc         string that documents the innermost class around it
    file_docstring    string or comment that documents the file
    file_head         clause that names the file's module; the comment directly above documents the file
    field             typed member of a class
Roles of trees
    doubt             node that the grammar makes only of what it misread (`code_index.chunking.recovery`)
Roles of the file
    import            statement or call that names another module
    text              text between the code, in `text_language`
    items             macro's argument in braces: the definitions in it count as if they stood outside
Roles of names
    variable          name of a variable, constant, field or enumerator; in a function it is a local one
    operation         name of a method or function that is none of the definitions above
    local             name of a parameter, or of a variable that only its function knows
    parameter_field   name of a parameter that is a field of the class around it, too
    property          name of a property of an object, which is only seen through the object
    words             text whose words are no names, but for types, paths and what follows `=`
    package           name that the file gives to its package or to a module
    bases             names of what a class inherits
    name, key         any name, and any name of a member: the engine captures them (`code_index.chunking.references`)
Roles of complexity
    branch, switch, else_if, elif, else, jump, path, and, or, closure: `code_index.chunking.complexity.Construct`
    not_path          takes back a `path` of the same span (default case)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from tree_sitter import Node

from code_index.chunking.comments import without_markers
from code_index.chunking.file_type import FileType
from code_index.chunking.recovery import NAME_ROLES, Repair
from code_index.core.model import Parameter

NameOf = Callable[[Node, bytes], str]
Imported = Callable[[str], Iterable[tuple[str, str, str]]]
"""From the text of an import to what it binds: the name in this file, the module, and the name there, if it has one; `*` for
all."""
ParametersOf = Callable[[Node, bytes], tuple[Parameter, ...]]

_CALLED: Final = re.compile(rb"(?:<[^<>();]{0,80}>)?[ \t]?\(")


def _empty() -> Mapping[str, NameOf]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageSpec(FileType):
    """One language for the engine.

    `query` has the roles above. `statements` captures as `statement` the nodes at which a definition too long for
    one chunk may be cut. `sort` gives roles to nodes that the query captures under a name with an underscore: a query
    with a pattern for each word of a language without syntax takes seconds for a long file. `reads_as` gives the text
    that the grammar is handed where it knows only one of a language's notations: as long as the source, byte for byte.
    A definition is read from its fields unless `names` (by node type), `parameters_of` or `return_type_of` override
    that. `name_types` serve grammars in which the name is a child without a field.
    With `dotted_methods` a function named `Owner.name` is a method.
    `value_fields`, or `carrier`, lead from a binding to the bound function (`const f = () => ...`).
    `doc_prefixes` mark documentation comments; with `plain_docs`, where none is marked, any comment directly above
    documents. `doc_text` removes markers that other languages do not use.
    `indentation_binds`: a comment above belongs only when equally indented.
    `path_separator` parts the names of classes and scopes that are written as a path: `class Shop::Admin::Panel` is named
    as the class `Panel` in nested modules is.
    `is_absolute` tells that the names of enclosing definitions do not qualify a definition's name.
    `clauses`: neighbouring functions of one name are one. What `prefix` matches directly before a
    definition (at most 80 bytes) belongs to it, though the grammar leaves it outside. `doc_of` reads documentation that
    stands in the definition otherwise than as the first string of its body. With `sheds_comments` comments at the end of a
    definition that are indented no deeper are outside of it: where blocks end by indentation, grammars leave what follows
    in the block. `imported` reads imports, `called` matches what follows the name of what is called, and `keyed` what follows
    a name that is only a key. `self_names` stand for the object or class around, as `self_of` gives it for one definition;
    with `implicit_self` its members are seen without one. `module_roots` begin a path of modules. Nodes of `further_parts`
    add to a class that is defined elsewhere, those that are `titled` have a title that is no name, and `macros` are only
    meant by calls with a `!`. `repairs` find what misled the grammar where its tree is wrong. `text_language` is that of the
    text between the code of a template.
    """

    query: str
    statements: str
    reads_as: Callable[[bytes], bytes] | None = None
    sort: Callable[[dict[str, list[Node]], bytes], None] | None = None
    grammar: str = ""
    name_fields: tuple[str, ...] = ("name",)
    name_types: tuple[str, ...] = ()
    dotted_methods: bool = False
    names: Mapping[str, NameOf] = field(default_factory=_empty)
    carrier: Callable[[Node], Node | None] | None = None
    value_fields: tuple[str, ...] = ()
    parameter_fields: tuple[str, ...] = ("parameters",)
    parameters_of: ParametersOf | None = None
    return_fields: tuple[str, ...] = ("return_type",)
    return_type_of: Callable[[Node, bytes], str] | None = None
    body_fields: tuple[str, ...] = ("body",)
    doc_prefixes: tuple[str, ...] = ("/**", "///", "//!", "/*!")
    plain_docs: bool = True
    doc_text: Callable[[str], str] = without_markers
    indentation_binds: bool = False
    is_absolute: Callable[[Node], bool] | None = None
    path_separator: str = ""
    clauses: bool = False
    prefix: re.Pattern[bytes] | None = None
    doc_of: Callable[[Node, bytes], str | None] | None = None
    sheds_comments: bool = False
    repairs: tuple[Repair, ...] = ()
    text_language: str = ""
    imported: Imported | None = None
    called: re.Pattern[bytes] = _CALLED
    keyed: re.Pattern[bytes] | None = None
    self_names: frozenset[str] = frozenset({"self", "this"})
    self_of: NameOf | None = None
    implicit_self: bool = False
    module_roots: frozenset[str] = frozenset()
    further_parts: frozenset[str] = frozenset()
    titled: frozenset[str] = frozenset()
    macros: frozenset[str] = frozenset()


DEFINITION_ROLES: Final = ("scope", "class", "function", "member", "prototype", "overload")
COMPLEXITY_ROLES: Final = ("branch", "switch", "else_if", "elif", "else", "jump", "path", "and", "or", "closure")
_OTHER_ROLES: Final = (
    *(
        "wrapper",
        "data",
        "passage",
        "rest",
        "signature",
        "comment",
        "doc",
        "attribute",
        "decorator",
        "docstring",
        "inner_doc",
        "body",
        "field",
    ),
    *("file_docstring", "file_head", "import", "not_path", "doubt", "text", "items"),
    *("variable", "operation", "local", "parameter_field", "property", "words", "package", "bases", *NAME_ROLES),
)
ROLES: Final = frozenset(DEFINITION_ROLES + COMPLEXITY_ROLES + _OTHER_ROLES)
