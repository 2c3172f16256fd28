"""Every promise of docs/guarantees.md names a test, and the test exists."""

import ast
import re
from pathlib import Path

from taskruns.api.reasons import Reason

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/guarantees.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[^`]+\.py[^`]*)`", PAGE)))
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ")]
PROMISES = [row for row in ROWS if not re.search(r"\| tried by \|$", row)]
FAILURES = [reason for reason in Reason if reason.kind is not None]


def _exists(named: str) -> bool:
    module, _, test = named.partition("::")
    if not (ROOT / module).is_file():
        return False
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    body = ast.parse((ROOT / module).read_text()).body
    return not test or test in {node.name for node in body if isinstance(node, functions)}


def test_every_test_that_is_named_exists() -> None:
    assert len(NAMED) > 100
    missing = [named for named in NAMED if not _exists(named)]
    assert not missing, "\n".join(missing)


def test_no_promise_goes_without_a_test() -> None:
    assert len(PROMISES) > 80
    assert [row for row in PROMISES if not re.search(r"`tests/[^`]+` *(, [^|]*)?\|$", row)] == []


def test_every_reason_of_a_failure_is_named() -> None:
    assert len(FAILURES) > 20
    assert [str(reason) for reason in FAILURES if f"`{reason}`" not in PAGE] == []
