"""Generators of docs/reasons.md and docs/events.md, from the tables in the code."""

from collections.abc import Iterable
from pathlib import Path

from taskruns.api.conditions import EventReason, FailureKind
from taskruns.api.reasons import Reason
from taskruns.engines.kubernetes import event_recorder
from tools.writing import made_from

INTRODUCTION = """\
# Reasons

Find the `status.reason` of a TaskRun, or the reason of an attempt or a condition, in this list. The
headings are the values of `status.failureKind`. The message beside a reason names the container and
the cause.
"""

EVENTS = f"""\
# Events

The controller writes a Kubernetes Event on the TaskRun for each change of a run.
`kubectl events --for taskrun/NAME` lists them, and `kubectl describe taskrun NAME` ends with them:

```text
Events:
  Type     Reason      Age               From      Message
  ----     ------      ----              ----      -------
  Normal   PodCreated  2s (x2 over 13s)  taskruns  Created Pod nightly-9f3c1a77d2-2 for attempt 2
  Warning  Retrying    12s               taskruns  NonZeroExitCode: Container main exited with \
code 7 on node n1. Attempt 1 of 2. The next attempt is due at 2026-11-29T00:45:40Z
  Normal   Succeeded   1s                taskruns  Container main completed on node n1. \
Attempt 2 of 2
```

A run that succeeds within a second has two Events, a longer one three. A repeated Event is the same
object, with a higher count and the last message; `status.attempts` has the message of every
attempt. The message of a warning begins with the [reason](reasons.md) in the status.

Events are for people. Do not rely on them: a run never waits for an Event, a failed write is not
retried, and the apiserver deletes each after an hour. The controller writes at most
{event_recorder.BURST} Events at once per namespace, half of them reserved for warnings, and
{event_recorder.PER_SECOND} per second in the long run; further Events are dropped. The output of a
task is in `status.message` and never in an Event, which more people may read.

| reason | type | meaning |
|---|---|---|
"""

HEADINGS = {
    None: "No failure",
    FailureKind.APPLICATION: "Application: the task itself failed",
    FailureKind.CONFIGURATION: "Configuration: the run cannot succeed as it is written",
    FailureKind.INFRASTRUCTURE: "Infrastructure: the cluster ended the Pod",
    FailureKind.TIMEOUT: "Timeout: a limit of the TaskRun was reached",
    FailureKind.CANCELLED: "Cancelled: a client cancelled or deleted the run",
}


def reasons(_root: Path) -> str:
    """Return the page of all reasons, with their meanings and advice."""
    head = f"<!-- {made_from('controller/taskruns/api/reasons.py')} -->\n\n{INTRODUCTION}"
    return "\n".join([head, *(_section(kind) for kind in HEADINGS)])


def _section(kind: FailureKind | None) -> str:
    rows = _rows(reason for reason in Reason if reason.kind is kind)
    return f"## {HEADINGS[kind]}\n\n| reason | meaning | what to do |\n|---|---|---|\n{rows}"


def _rows(reasons: Iterable[Reason]) -> str:
    return "".join(f"| `{each}` | {each.meaning} | {each.advice} |\n" for each in reasons)


def events(_root: Path) -> str:
    """Return the page of all Events, with their types and meanings."""
    rows = (f"| `{each}` | {each.type} | {each.meaning} |\n" for each in EventReason)
    return (
        f"<!-- {made_from('controller/taskruns/api/conditions.py')} -->\n\n{EVENTS}{''.join(rows)}"
    )
