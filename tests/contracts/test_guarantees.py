"""Every guarantee has a test with its mark, and docs/guarantees.md lists each."""

import ast
import re
from pathlib import Path

import pytest

from taskruns.api.reasons import Reason
from tools.guarantees import ROOT, GuaranteeError, Mark, marks_of, render

PAGE = (ROOT / "docs/guarantees.md").read_text()
FAILURES = [reason for reason in Reason if reason.kind is not None]


def test_every_guarantee_has_one_link_to_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("- ")]
    assert len(rows) > 100
    link = re.compile(r"[^\]]+\. \[test_\w+\]\(\.\./tests/[\w/]+\.py(?: \"test_\w+\")?\)")
    assert [row for row in rows if not link.fullmatch(row)] == []


def test_every_reason_of_a_failure_is_named() -> None:
    assert len(FAILURES) > 20
    assert [str(reason) for reason in FAILURES if f"`{reason}`" not in PAGE] == []


def test_marks_are_read_from_tests_and_modules() -> None:
    source = """
pytestmark = [pytest.mark.slow, pytest.mark.guarantee("of the module")]

@pytest.mark.guarantee("one, " "in two parts")
@pytest.mark.guarantee("two")
@pytest.mark.slow
async def test_it(): ...
"""
    assert sorted((mark.sentence, mark.test) for mark in marks_of(ast.parse(source), "m")) == [
        ("of the module", ""),
        ("one, in two parts", "test_it"),
        ("two", "test_it"),
    ]


def test_the_link_prefers_the_most_real_system(tmp_path: Path) -> None:
    both = [
        Mark("It holds", "tests/unit/core/test_a.py", 1, "test_one"),
        Mark("It holds", "tests/e2e/test_b.py", 9, "test_two"),
    ]
    assert render("# Page\n\n- It\n  holds\n", both, tmp_path) == (
        '# Page\n\n- It holds. [test_b](../tests/e2e/test_b.py "test_two")\n'
    )


@pytest.mark.parametrize(
    ("template", "error"),
    [
        ("- It holds\n- It is fast\n", "no test is marked with this guarantee: It is fast"),
        ("- It is fast\n", r"tests/e2e/test_b\.py:9: .* does not list this guarantee: It holds"),
        ("- It holds\n- It holds\n", "listed twice: It holds"),
        ("- It holds\n\nSee `tests/e2e/test_c.py`.\n", r"does not exist: tests/e2e/test_c\.py"),
        ("- It holds\n\nSee `tests/e2e/test_b.py::test_x`.\n", "does not exist: .*::test_x"),
    ],
)
def test_a_difference_of_template_and_marks_is_an_error(
    template: str, error: str, tmp_path: Path
) -> None:
    module = tmp_path / "tests/e2e/test_b.py"
    module.parent.mkdir(parents=True)
    module.write_text("def test_two(): ...\n")
    mark = Mark("It holds", "tests/e2e/test_b.py", 9, "test_two")
    with pytest.raises(GuaranteeError, match=error):
        render(template, [mark], tmp_path)
