"""Every death in docs/airflow-deaths.md names a test, and the test exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLE = (
    (ROOT / "docs/airflow-deaths.md").read_text().partition("\n## What becomes of the task\n")[2]
)
ROWS = [line for line in TABLE.splitlines() if line.startswith("| ")][1:]


def _named(row: str) -> tuple[str, str]:
    match = re.search(r"\| `(tests/airflow/\w+\.py)::(\w+)` \|$", row)
    assert match, f"names no test: {row}"
    return match[1], match[2]


def test_there_is_something_to_tell() -> None:
    assert len(ROWS) > 8


@pytest.mark.parametrize("row", ROWS)
def test_every_row_names_a_test_that_is_there(row: str) -> None:
    module, test = _named(row)
    tree = ast.parse((ROOT / module).read_text())
    assert test in {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}
