"""What the source may not hold: prints, assertions in place of checks, evaluated text, codes that nobody explains."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "autometa"
MODULES = sorted(PACKAGE.rglob("*.py"))
FORBIDDEN_FOLDERS = {"utils", "helpers", "common", "old", "legacy", "misc"}


def calls(tree: ast.Module) -> set[str]:
    return {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_keeps_the_rules(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    forbidden = {"eval", "exec"} | (set() if "cli" in path.relative_to(PACKAGE).parts else {"print"})
    assert not calls(tree) & forbidden
    assert not any(isinstance(node, ast.Assert) for node in ast.walk(tree))
    assert not any(isinstance(node, ast.ExceptHandler) and node.type is None for node in ast.walk(tree))


def test_folders_are_named_by_words_of_the_field():
    assert not {path.stem for path in PACKAGE.rglob("*")} & FORBIDDEN_FOLDERS


def used_codes() -> set[str]:
    found = set()
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and re.fullmatch(r"AM\d{3}", node.value)
            ):
                found.add(node.value)
    return found


# Wrong arguments that concern the target are numbered with it.
HUNDREDS = {
    "DataError": "1234",
    "UsageError": "5",
    "StorageError": "6",
    "DependencyError": "7",
    "EvaluationError": "8",
}
ARGUMENTS_ABOUT_THE_TARGET = {"AM106", "AM107"}


def test_every_error_has_a_code_of_its_class():
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in HUNDREDS:
                code, name = ast.literal_eval(node.args[0]), node.func.id
                is_usual = code[2] in HUNDREDS[name] and code not in ARGUMENTS_ABOUT_THE_TARGET
                assert is_usual or (name == "UsageError" and code in ARGUMENTS_ABOUT_THE_TARGET), (path, code)


def test_every_code_is_explained_and_every_explained_code_is_used(root):
    page = (root / "docs" / "reference" / "codes.md").read_text(encoding="utf-8")
    explained = re.findall(r"^\| (AM\d{3}) \|", page, flags=re.MULTILINE)
    assert explained == sorted(set(explained))
    assert set(explained) == used_codes()
