"""The table of docs/security.md: which request whose role allows."""

import re
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import override

PAGE = Path(__file__).parents[3] / "docs/security.md"
GROUPS = {"taskruns": "taskruns.dev", "jobs": "batch"}
"""The group of each resource in the table that is not of the core group."""


@dataclass(frozen=True, slots=True)
class Request:
    """One row: a verb on a resource, and to whom it is allowed."""

    verb: str
    resource: str
    """A plural, or a plural and its subresource."""
    allowed: dict[str, bool]
    """By the name of the role, in the order of the columns."""

    @property
    def permission(self) -> tuple[str, str, str]:
        """Verb, group and resource as an RBAC rule has them."""
        return self.verb, GROUPS.get(self.resource.partition("/")[0], ""), self.resource

    @override
    def __str__(self) -> str:
        return f"{self.verb} {self.resource}"


def requests() -> list[Request]:
    """Read the table.

    Raises:
        ValueError: a cell says neither yes nor no.
    """
    rows = re.findall(
        r"^\| (?:request|`([a-z]+) ([a-z/]+)`) \| (.+) \|$", PAGE.read_text(), re.MULTILINE
    )
    (_, _, head), *rest = rows
    roles = head.split(" | ")
    return [
        Request(verb, resource, dict(zip(roles, map(_said, cells.split(" | ")), strict=True)))
        for verb, resource, cells in rest
    ]


def _said(cell: str) -> bool:
    if cell not in ("yes", "no"):
        raise ValueError(f"{PAGE.name}: {cell!r} is neither yes nor no")
    return cell == "yes"
