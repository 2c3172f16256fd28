"""Reference pages that are drawn from the code's own tables."""

from collections.abc import Iterable
from pathlib import Path

from taskruns.api.conditions import FailureKind
from taskruns.api.reasons import Reason
from tools.writing import made_from

INTRODUCTION = """\
# Reasons

`status.reason` of a TaskRun, the reason of each attempt and those of its conditions are words of
this list, and `status.failureKind` is the heading that a failure stands under. The message beside
a reason names the container, the cause and what is known of it.
"""

HEADINGS = {
    None: "No failure",
    FailureKind.APPLICATION: "Application: the task itself failed",
    FailureKind.CONFIGURATION: "Configuration: it can never run as it is written",
    FailureKind.INFRASTRUCTURE: "Infrastructure: the cluster ended it",
    FailureKind.TIMEOUT: "Timeout: a limit of the TaskRun was reached",
    FailureKind.CANCELLED: "Cancelled: somebody asked for it",
}


def reasons(_root: Path) -> str:
    """The page of all reasons: what each means and what to do."""
    head = f"<!-- {made_from('controller/taskruns/api/reasons.py')} -->\n\n{INTRODUCTION}"
    return "\n".join([head, *(_section(kind) for kind in HEADINGS)])


def _section(kind: FailureKind | None) -> str:
    rows = _rows(reason for reason in Reason if reason.kind is kind)
    return f"## {HEADINGS[kind]}\n\n| reason | meaning | what to do |\n|---|---|---|\n{rows}"


def _rows(reasons: Iterable[Reason]) -> str:
    return "".join(f"| `{each}` | {each.meaning} | {each.advice} |\n" for each in reasons)
