"""Command line of the controller: `taskruns-controller`, also `python -m taskruns.operator`.

With `cleanup` as its first argument it runs the command in `taskruns.operator.uninstall`. Otherwise
it runs the controller, with these exit codes: 0 after SIGTERM or SIGINT; 1 when it cannot continue;
2 for wrong settings.
"""

import asyncio
import logging
import os
import sys
import threading

import uvloop

from taskruns.engines.kubernetes import NoConfiguration
from taskruns.operator import settings, structured_logging, uninstall
from taskruns.operator.controller import WrapEngine, run
from taskruns.operator.health import CannotServe
from taskruns.operator.settings import Settings

log = logging.getLogger(__name__)

LAST_SECONDS = 1.0
"""Time for closing the event loop, in seconds; after it the process exits."""


def main(argv: list[str] | None = None, wrap: WrapEngine = lambda engine: engine) -> int:
    """Run the controller until it is stopped, or the cleanup command; return the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == [uninstall.COMMAND]:
        return uninstall.main(argv[1:], os.environ)
    options = settings.read(argv, os.environ)
    structured_logging.configure(options.log_format, options.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = _run(runner, options, wrap)
        # Closing the loop waits for tasks that kopf has left in it, and they may never end.
        watchdog = threading.Timer(LAST_SECONDS, os._exit, (code,))
        watchdog.daemon = True
        watchdog.start()
    watchdog.cancel()
    return code


def _run(runner: asyncio.Runner, options: Settings, wrap: WrapEngine) -> int:
    try:
        return runner.run(run(options, wrap))
    except NoConfiguration as error:
        log.critical("cannot connect to a cluster: %s", error)
    except CannotServe as error:
        log.critical("the %s", error)
    return 1


if __name__ == "__main__":
    sys.exit(main())
