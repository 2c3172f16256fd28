"""`taskruns-controller cleanup`: before an uninstall, leave no Pod that waits for the controller.

Exit codes: 0 when there is none left; 1 when there is, or when it cannot be told; 2 for wrong
settings. It can be repeated, and cut off at any point.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from taskruns import clock
from taskruns.engines.engine import EngineError
from taskruns.engines.kubernetes import Connection, NoConfiguration, connect
from taskruns.engines.kubernetes.endpoints import MERGE_PATCH, SCALE_DEPLOYMENT
from taskruns.engines.kubernetes.finalizers import AT_ONCE, Farewell
from taskruns.engines.kubernetes.listing import EVERYWHERE, count_selected
from taskruns.operator import structured_logging
from taskruns.operator.options import (
    CONTEXT,
    KUBECONFIG,
    LOG_FORMAT,
    NAMESPACES,
    Option,
    Parser,
    switch,
    whole,
)
from taskruns.operator.structured_logging import Format

log = logging.getLogger(__name__)

COMMAND = "cleanup"

PAUSE_SECONDS = 1.0
"""Between two looks at what is left."""

PATIENCE_SECONDS = 30.0
"""How long the end of a Pod that is being deleted is waited for, and what cannot be judged."""

STAND_DOWN_LOOKS = 40
"""How often it is looked whether the controller's own Pod has gone; on a lost node it never has."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All that the command can be told."""

    deployment: tuple[str, str] | None
    """Namespace and name of the controller's Deployment, where it is to be ended first."""
    namespaces: tuple[str, ...] | None
    timeout: int
    """Seconds that it may take in all, beside the requests that are under way by then."""
    dry_run: bool
    log_format: Format
    kubeconfig: str | None
    context: str | None


def _deployment(text: str) -> tuple[str, str]:
    namespace, _, name = text.partition("/")
    if not namespace or not name or "/" in name:
        raise ValueError("write its namespace and name, such as taskruns-system/taskruns")
    return namespace, name


_OPTIONS = (
    Option("--deployment", "NAMESPACE/NAME", None, _deployment,
           "the controller's Deployment: it is scaled to 0 first, for a controller that is at work "
           "goes on creating Pods"),
    NAMESPACES,
    Option("--timeout", "SECONDS", "120", whole(1, 86400), "how long it may take"),
    switch("--dry-run", "only say which Pods there are and what would be done about each"),
    LOG_FORMAT,
    KUBECONFIG,
    CONTEXT,
)  # fmt: skip

_DESCRIPTION = """\
Lets go of every Pod of TaskRuns, so that none is left waiting for a controller that is gone:

  - what has ended is recorded in its TaskRun, and let go;
  - what runs goes on, and is let go: the next controller takes it over;
  - what was never let run is deleted; its TaskRun goes on with the next controller.

TaskRuns stay as they are. End the controller first (--deployment does). It can be repeated."""

_EXAMPLES = """\
examples:
  taskruns-controller cleanup --deployment taskruns-system/taskruns --dry-run
  taskruns-controller cleanup --deployment taskruns-system/taskruns
  taskruns-controller cleanup --namespaces team-a,team-b --timeout 300

exit codes: 0 nothing is left; 1 something is, or it cannot be told; 2 wrong settings"""


def read(argv: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Read the settings.

    Raises:
        SystemExit: 2 after a sentence about a wrong value, 0 after --help.
    """
    parser = Parser(f"taskruns-controller {COMMAND}", _DESCRIPTION, _EXAMPLES, _OPTIONS)
    return Settings(**parser.read(argv, environment))


def main(argv: Sequence[str], environment: Mapping[str, str]) -> int:
    """Clean up; return the exit code."""
    told = read(argv, environment)
    structured_logging.configure(told.log_format, logging.INFO)
    try:
        return asyncio.run(_run(told))
    except NoConfiguration as error:
        log.critical("no cluster to clean up: %s", error)
    except EngineError as error:
        log.critical("cannot go on: %s", error)
    return 1


async def _run(told: Settings) -> int:
    connection = await connect(told.kubeconfig, told.context, AT_ONCE)
    try:
        namespaces = told.namespaces or (EVERYWHERE,)
        farewell = Farewell(connection, namespaces, clock.now)
        if told.dry_run:
            return await _show(farewell)
        if told.deployment is not None:
            await _end_controller(connection, *told.deployment)
        return await _let_go(farewell, told.timeout)
    finally:
        await connection.close()


async def _show(farewell: Farewell) -> int:
    lines = await farewell.look()
    for line in lines:
        log.info("%s", line)
    log.info("%d Pods; nothing was done about them (--dry-run)", len(lines))
    return 0


async def _end_controller(connection: Connection, namespace: str, name: str) -> None:
    """Scale the controller's Deployment to 0, and wait until its Pod has gone.

    Raises:
        EngineError: the apiserver does not allow it.
    """
    path = SCALE_DEPLOYMENT.path(namespace, name)
    body = {"spec": {"replicas": 0}}
    answer = await connection.send(SCALE_DEPLOYMENT, path, body, content_type=MERGE_PATCH)
    if answer.code == HTTPStatus.NOT_FOUND:
        log.warning("there is no Deployment %s/%s: going on without it", namespace, name)
        return
    if not answer.ok:
        raise EngineError(f"Deployment {namespace}/{name} is not scaled to 0: {answer.message}")
    log.info("scaled Deployment %s/%s to 0; it stays so if this does not end well", namespace, name)
    selector = answer.body["status"]["selector"]
    for _ in range(STAND_DOWN_LOOKS):
        if not await count_selected(connection, namespace, selector):
            log.info("the controller has ended")
            return
        await asyncio.sleep(PAUSE_SECONDS)
    log.warning("the controller's Pod is still there: going on, as if it had ended")


async def _let_go(farewell: Farewell, seconds: float) -> int:
    """Let go of Pods until none is found that needs it, twice over if there was one."""
    loop = asyncio.get_running_loop()
    begun, left = loop.time(), "nothing could be listed"
    patience = min(PATIENCE_SECONDS, seconds / 2)
    while (spent := loop.time() - begun) <= seconds:
        try:
            found = await farewell.let_go(patient=spent < patience)
        except EngineError as error:
            log.warning("%s; trying again", error)
        else:
            if not found:
                log.info("nothing is left that waits for the controller")
                return 0
            left = f"{found} Pods needed it at the last look"
        await asyncio.sleep(PAUSE_SECONDS)
    log.error("not done within %g s: %s", seconds, left)
    log.error("if Pods keep coming, a controller is at work: end it (--deployment) and try again")
    return 1
