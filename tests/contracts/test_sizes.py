"""Upper bounds for the length of modules and functions, so that they stay readable.

Product and tools have the same bounds. A test module may have more lines because of its tables, and
a test function because of its scenario.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

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


def _excesses(place: Path, source: str, most_lines: int, most_function_lines: int) -> Iterator[str]:
    """Yield a line for the module if it is too long, and for each function that is."""
    if (lines := len(source.splitlines())) > most_lines:
        yield f"{place}: {lines} lines, at most {most_lines}"
    for name, lines in _functions(source):
        if lines > most_function_lines:
            yield f"{place}: {name}() has {lines} lines, at most {most_function_lines}"


def test_modules_and_functions_stay_short() -> None:
    assert len(MODULES) > 400
    excesses: list[str] = []
    for path in MODULES:
        folder = next(each for each in BOUNDS if path.is_relative_to(ROOT / each))
        excesses += _excesses(path.relative_to(ROOT), path.read_text(), *BOUNDS[folder])
    assert not excesses, "\n".join(excesses)


def test_a_long_module_and_a_long_function_are_reported() -> None:
    source = "def short():\n    pass\n\ndef long():\n    pass\n    pass\n"
    assert [*_excesses(Path("a.py"), source, 5, 2)] == [
        "a.py: 6 lines, at most 5",
        "a.py: long() has 3 lines, at most 2",
    ]


def test_a_module_is_named_after_what_it_holds() -> None:
    assert [str(path.relative_to(ROOT)) for path in MODULES if path.stem in VAGUE] == []
