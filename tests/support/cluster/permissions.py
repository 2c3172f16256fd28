"""The table of docs/security.md: which role allows which request."""

import re
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import override

PAGE = Path(__file__).parents[3] / "docs/security.md"
GROUPS = {"taskruns": "taskruns.dev", "jobs": "batch"}
"""API group of each resource in the table that is not in the core group."""


@dataclass(frozen=True, slots=True)
class Request:
    """One row: a verb on a resource, and the roles that allow it."""

    verb: str
    resource: str
    """The plural, followed by the subresource if there is one."""
    allowed: dict[str, bool]
    """Whether each role allows the request, by the role's name in the order of the columns."""

    @property
    def permission(self) -> tuple[str, str, str]:
        """Verb, group and resource, as in an RBAC rule."""
        return self.verb, GROUPS.get(self.resource.partition("/")[0], ""), self.resource

    @override
    def __str__(self) -> str:
        return f"{self.verb} {self.resource}"


def requests() -> list[Request]:
    """Return the rows of the table.

    Raises:
        ValueError: a cell is neither yes nor no.
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
