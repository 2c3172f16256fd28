"""The page of fields is complete, and its tables are well-formed."""

from pathlib import Path

from taskruns.api.cel_rules import RULES
from taskruns.api.crd import resource_schema
from tests.support.builders import schemas
from tools import fields

PAGE = fields.page(Path())


def test_every_field_has_a_row() -> None:
    parts = resource_schema()["properties"]
    for part in ("spec", "status"):
        for path, _ in schemas.fields(parts[part]):
            if path and path[-1] != 0:
                assert f"\n| `{schemas.written(path).replace('[0]', '[]')}` | " in PAGE


def test_every_rule_has_its_sentence() -> None:
    for rules in RULES.values():
        for rule in rules:
            assert rule.message in PAGE or rule.message_expression


def test_every_row_has_as_many_cells_as_its_heading() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {3, 4}
    assert all(row.count("|") == 4 for row in rows[: rows.index("| field | error message |")])
