"""Upper bounds for the length of modules and functions, so that they stay readable.

Product and tools have the same bounds. A test module may have more lines because of its tables, and
a test function because of its scenario.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BOUNDS = {
    "controller": (500, 40),
    "provider/taskruns_airflow": (500, 40),
    "tools": (500, 40),
    "benchmarks": (500, 40),
    "tests": (500, 60),
    "provider/tests": (500, 60),
}
"""By folder: lines of a module, lines of a function with its docstring."""

MODULES = [path for folder in BOUNDS for path in sorted((ROOT / folder).rglob("*.py"))]
VAGUE = {"base", "common", "helpers", "manager", "managers", "misc", "util", "utils"}


def _functions(source: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def _place(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=_place)
def test_modules_and_functions_stay_short(path: Path) -> None:
    folder = next(each for each in BOUNDS if path.is_relative_to(ROOT / each))
    most_lines, most_function_lines = BOUNDS[folder]
    source = path.read_text()
    assert len(source.splitlines()) <= most_lines
    long = {name: lines for name, lines in _functions(source) if lines > most_function_lines}
    assert not long


@pytest.mark.parametrize("path", MODULES, ids=_place)
def test_a_module_is_named_after_what_it_holds(path: Path) -> None:
    assert path.stem not in VAGUE
