"""Output of `taskrun describe`: the cause of a failure first, then the attempts as a timeline."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from taskruns.api.conditions import Outcome
from taskruns.cli.backend import Step
from taskruns.cli.output import age, length, phase_style, replace_control_characters, write
from taskruns.core.unstructured import Object, mapping, mappings, moment, text

Steps = Callable[[str], Awaitable[Sequence[Step]]]

_STYLES = {Outcome.SUCCEEDED: "green", Outcome.FAILED: "bold red"}
_INDENT = (0, 0, 0, 2)


async def show_description(run: Object, now: datetime, steps: Steps) -> None:
    """Print the description of a run.

    Args:
        run: the TaskRun.
        now: the current time.
        steps: returns the steps of a Pod that the attempt's record does not contain.
    """
    status = mapping(run.get("status"))
    write(*_summary(run, status, now))
    before = moment(status.get("startTime"))
    for attempt in mappings(status.get("attempts")):
        more = await steps(text(attempt.get("podName")))
        write(Text(), *_attempt(attempt, before, more, now))
        before = moment(attempt.get("finishedTime"))


def _summary(run: Object, status: Object, now: datetime) -> Iterator[Any]:
    """Yield the phase with its cause, then the facts of the run."""
    metadata = mapping(run.get("metadata"))
    phase, reason = text(status.get("phase")), text(status.get("reason"))
    head = Text.assemble((text(metadata.get("name")), "bold"), ": ")
    head.append(phase or "no status yet", phase_style(phase) or "default")
    yield head.append(f", {reason}" if reason else "")
    message = replace_control_characters(text(status.get("message")))
    if message:
        yield Padding(Text(message), _INDENT)
    facts = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for name, value in _facts(run, status, now):
        facts.add_row(Text(name, "dim"), Text(replace_control_characters(value)))
    yield Text()
    yield facts


def _facts(run: Object, status: Object, now: datetime) -> Iterator[tuple[str, str]]:
    metadata, spec = mapping(run.get("metadata")), mapping(run.get("spec"))
    yield "namespace", text(metadata.get("namespace"))
    if spec.get("image"):
        yield "image", text(spec.get("image"))
    if status.get("failureKind"):
        yield "failure kind", text(status.get("failureKind"))
    if status.get("exitCode") is not None:
        yield "exit code", str(status["exitCode"])
    if status.get("result"):
        yield "result", text(status.get("result"))
    yield "created", _when(metadata.get("creationTimestamp"), now)
    begin, end = moment(status.get("startTime")), moment(status.get("completionTime"))
    if begin is not None:
        yield ("took" if end else "has taken"), length((end or now) - begin)
    for limit, field in (("backoffLimit", "failed"), ("disruptionLimit", "disrupted")):
        if spec.get(limit):
            yield field, f"{status.get(field) or 0} (limit {spec[limit]})"


def _attempt(
    attempt: Object, due: datetime | None, more: Sequence[Step], now: datetime
) -> Iterator[Any]:
    outcome, reason = text(attempt.get("outcome")), text(attempt.get("reason"))
    style = _STYLES.get(Outcome(outcome), "yellow") if outcome in set(Outcome) else "cyan"
    head = Text.assemble((f"Attempt {attempt.get('number')}", "bold"), ": ")
    head.append(outcome or "in progress", style).append(f", {reason}" if reason else "")
    if attempt.get("exitCode") is not None:
        head.append(f", exit code {attempt['exitCode']}")
    yield head
    if attempt.get("message") and outcome != Outcome.SUCCEEDED:
        yield Padding(Text(replace_control_characters(text(attempt.get("message")))), _INDENT)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for step, begin, end in _timeline(attempt, due, more):
        took = length((end or now) - begin) + ("" if end else " so far")
        table.add_row(Text(step), Text(f"{begin:%H:%M:%S}", "dim"), Text(took))
    yield Padding(table, _INDENT)
    where = " on ".join(filter(None, (text(attempt.get(key)) for key in ("podName", "nodeName"))))
    yield Padding(Text(where, "dim"), _INDENT)


def _timeline(
    attempt: Object, due: datetime | None, more: Sequence[Step]
) -> Iterator[tuple[str, datetime, datetime | None]]:
    """Yield the name, start and end of each step; the end is None while the step continues."""
    created, scheduled, started, finished = (
        moment(attempt.get(f"{name}Time"))
        for name in ("created", "scheduled", "started", "finished")
    )
    if due is not None and created is not None and created > due:
        yield "queued", due, created
    if created is not None:
        yield "scheduling", created, scheduled or finished
    for step in more:
        begin = moment(step.began)
        if begin is not None:
            yield step.name, begin, moment(step.ended) or finished
    if scheduled is not None:
        yield "starting", scheduled, started or finished
    if started is not None:
        yield "running", started, finished


def _when(value: object, now: datetime) -> str:
    time = moment(value)
    return f"{time:%Y-%m-%d %H:%M:%S} UTC, {age(value, now)} ago" if time else "-"
