"""The source tree as the architecture tests see it: files, their imports, their functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the two packages by dotted name, migrations left out."""
    found = {}
    for package in ("chatbot", "support_portal"):
        for path in (ROOT / package).rglob("*.py"):
            if "migrations" not in path.parts:
                found[dotted(path)] = ast.parse(path.read_text(), str(path))
    return found


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports(tree: ast.AST) -> tuple[tuple[str, int], ...]:
    """Full dotted names of everything imported, `from a import b` as "a.b", with the line."""
    return tuple(_imports(tree))


def _imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def own_imports(name: str, tree: ast.AST) -> set[str]:
    """The modules of ours that a module imports."""
    known = modules()
    found = set()
    for target, _ in imports(tree):
        module = target if target in known else target.rpartition(".")[0]
        if module in known and module != name:
            found.add(module)
    return found


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def top_level(tree: ast.Module) -> ast.Module:
    """The module without its functions' bodies: what runs, and imports, when it is loaded."""
    body = [node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return ast.Module(body=body, type_ignores=[])
