"""Every promise of docs/guarantees.md names a test, and the test exists."""

import ast
import re
from pathlib import Path

import pytest

from taskruns.api.reasons import Reason

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/guarantees.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[^`]+\.py[^`]*)`", PAGE)))
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ")]
PROMISES = [row for row in ROWS if not re.search(r"\| tried by \|$", row)]
FAILURES = [reason for reason in Reason if reason.kind is not None]


@pytest.mark.parametrize("named", NAMED)
def test_a_test_that_is_named_is_there(named: str) -> None:
    module, _, test = named.partition("::")
    body = ast.parse((ROOT / module).read_text()).body
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    tests = {node.name for node in body if isinstance(node, functions)}
    assert not test or test in tests


def test_no_promise_goes_without_a_test() -> None:
    assert len(PROMISES) > 80
    assert [row for row in PROMISES if not re.search(r"`tests/[^`]+` *(, [^|]*)?\|$", row)] == []


@pytest.mark.parametrize("reason", FAILURES)
def test_every_way_to_fail_is_promised_to_be_told(reason: Reason) -> None:
    assert f"`{reason}`" in PAGE
