"""Progress reports while a command waits for the controller."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tools.demo.commands import CommandFailed, Commands, Object
from tools.demo.screen import Screen

SECONDS = 5.0
"""Polling interval and delay before the first report, in seconds."""

SELECTOR = "app.kubernetes.io/name=taskruns,app.kubernetes.io/component=controller"


@contextmanager
def reporting(
    commands: Commands, screen: Screen, namespace: str, seconds: float = SECONDS
) -> Iterator[None]:
    """Report the controller's state while the block runs, once per change."""
    ended = threading.Event()
    reporter = threading.Thread(
        target=_report, args=(commands, screen, namespace, seconds, ended), daemon=True
    )
    reporter.start()
    try:
        yield
    finally:
        ended.set()
        reporter.join()


def _report(
    commands: Commands, screen: Screen, namespace: str, seconds: float, ended: threading.Event
) -> None:
    last = ""
    while not ended.wait(seconds):
        line = describe(commands, namespace)
        if line != last and not ended.is_set():
            screen.progress(f"... {line}")
            last = line


def describe(commands: Commands, namespace: str) -> str:
    """Return the state of the controller's newest Pod and the last line of its log."""
    try:
        pods = commands.read(f"kubectl get pods --namespace {namespace} --selector {SELECTOR}")
    except (CommandFailed, json.JSONDecodeError) as error:
        return f"the controller's Pod cannot be read: {str(error).splitlines()[-1]}"
    if not pods["items"]:
        return "the controller has no Pod yet"
    pod = max(pods["items"], key=lambda each: each["metadata"]["creationTimestamp"])
    name = pod["metadata"]["name"]
    line = _last_line(commands, namespace, name)
    return f"Pod {name}: {_state(pod)}" + (f"; its log ends with: {line}" if line else "")


def _state(pod: Object) -> str:
    """Return the status as `kubectl get pods` shows it, with details of its containers."""
    status = pod.get("status") or {}
    if "deletionTimestamp" in pod["metadata"]:
        return "Terminating"
    for container in status.get("containerStatuses") or []:
        words = _container_state(container)
        if words:
            return words
    for condition in status.get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"{condition.get('reason')} ({condition.get('message')})"
    return str(status.get("phase") or "Pending")


def _container_state(container: dict[str, Any]) -> str:
    state = container.get("state") or {}
    restarts = container.get("restartCount", 0)
    counted = f", restarted {restarts} times" if restarts else ""
    if "waiting" in state:
        reason, message = (state["waiting"].get(key) for key in ("reason", "message"))
        return f"{reason or 'Waiting'}" + (f" ({message})" if message else "") + counted
    if "terminated" in state:
        return f"ended with exit code {state['terminated'].get('exitCode')}{counted}"
    return "Running, " + ("ready" if container.get("ready") else "not ready") + counted


def _last_line(commands: Commands, namespace: str, name: str) -> str:
    """Return the last log line of the running container, or of the previous one."""
    for flags in ("", " --previous"):
        try:
            log = commands.run(
                f"kubectl logs --namespace {namespace} --tail=1{flags} {name}"
            ).strip()
        except CommandFailed:
            continue
        if log:
            return log.splitlines()[-1]
    return ""
