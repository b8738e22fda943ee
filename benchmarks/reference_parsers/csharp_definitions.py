"""Definitions of C# files as the compiler's parser (Roslyn) sees them: a line of JSON for each.

Run by `languages` in a process of its own: `python csharp_definitions.py COMPILER PACKAGES`, folders with the
compiler's assemblies and with the packages `pythonnet` and `dotnetcore2`; file names come on standard input, one a line.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_TYPES = {
    "ClassDeclaration": "class",
    "StructDeclaration": "struct",
    "InterfaceDeclaration": "interface",
    "RecordDeclaration": "record",
    "RecordStructDeclaration": "record",
    "EnumDeclaration": "enum",
    "DelegateDeclaration": "delegate",
}
_FUNCTIONS = {
    "MethodDeclaration": "method",
    "ConstructorDeclaration": "constructor",
    "DestructorDeclaration": "destructor",
    "OperatorDeclaration": "operator",
    "ConversionOperatorDeclaration": "operator",
    "IndexerDeclaration": "indexer",
    "PropertyDeclaration": "property",
    "LocalFunctionStatement": "method",
}
_NAMESPACES = {"NamespaceDeclaration": "namespace", "FileScopedNamespaceDeclaration": "namespace"}
_KINDS = _TYPES | _FUNCTIONS | _NAMESPACES
_CLOSURES = {"SimpleLambdaExpression", "ParenthesizedLambdaExpression", "AnonymousMethodExpression"}


def main() -> None:
    """Print what the files named on standard input define."""
    compiler, packages = map(Path, sys.argv[1:])
    sys.path.append(str(packages))
    os.environ["DOTNET_SYSTEM_GLOBALIZATION_INVARIANT"] = "1"  # else it wants the system's ICU
    import pythonnet
    from clr_loader import get_coreclr

    (configuration,) = compiler.glob("*.runtimeconfig.json")
    pythonnet.set_runtime(
        get_coreclr(runtime_config=str(configuration), dotnet_root=str(packages / "dotnetcore2" / "bin"))
    )
    import clr

    sys.path.append(str(compiler))
    clr.AddReference("Microsoft.CodeAnalysis")
    clr.AddReference("Microsoft.CodeAnalysis.CSharp")
    from Microsoft.CodeAnalysis import CSharp

    for path in sys.stdin.read().splitlines():
        text = Path(path).read_text("utf-8-sig", "replace")
        root = CSharp.CSharpSyntaxTree.ParseText(text).GetRoot()
        for item in _definitions(root, CSharp):
            print(json.dumps({"path": path, **item}))


def _definitions(root: Any, csharp: Any) -> Iterator[dict[str, Any]]:
    pending = [(root, False)]
    while pending:
        node, is_local = pending.pop()
        kind = str(csharp.CSharpExtensions.Kind(node))
        if kind in _KINDS:
            token = _name(node, kind)
            line = token.GetLocation().GetLineSpan().StartLinePosition.Line + 1
            yield {"name": _text(token, kind), "kind": _KINDS[kind], "line": line, "local": is_local}
        is_inner = is_local or kind in _FUNCTIONS or kind in _CLOSURES
        pending += [(child, is_inner) for child in node.ChildNodes()]


def _name(node: Any, kind: str) -> Any:
    """The token or node that names a definition."""
    if kind == "OperatorDeclaration":
        return node.OperatorToken
    if kind == "ConversionOperatorDeclaration":
        return node.Type
    if kind == "IndexerDeclaration":
        return node.ThisKeyword
    return node.Name if kind in _NAMESPACES else node.Identifier


def _text(token: Any, kind: str) -> str:
    """The name as it is written here."""
    forms = {
        "OperatorDeclaration": "operator {}",
        "ConversionOperatorDeclaration": "operator {}",
        "IndexerDeclaration": "{}[]",
        "DestructorDeclaration": "~{}",
    }
    return forms.get(kind, "{}").format(token.ToString().removeprefix("@"))


if __name__ == "__main__":
    main()
