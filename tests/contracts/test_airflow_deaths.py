"""Every death in docs/airflow-deaths.md names a test, and the test exists."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = (
    (ROOT / "docs/airflow-deaths.md")
    .read_text()
    .partition("\n## Effects on the task and its run\n")[2]
)
ROWS = [line for line in TABLE.splitlines() if line.startswith("| ")][1:]


def _named(row: str) -> tuple[str, str]:
    match = re.search(r"\| `(tests/airflow/\w+\.py)::(\w+)` \|$", row)
    assert match, f"names no test: {row}"
    return match[1], match[2]


def test_there_is_something_to_tell() -> None:
    assert len(ROWS) > 8


def _exists(module: str, test: str) -> bool:
    body = ast.parse((ROOT / module).read_text()).body if (ROOT / module).exists() else []
    return test in {each.name for each in body if isinstance(each, ast.FunctionDef)}


def test_every_row_names_a_test_that_is_there() -> None:
    missing = ["::".join(named) for named in map(_named, ROWS) if not _exists(*named)]
    assert not missing, "\n".join(missing)
