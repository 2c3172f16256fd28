"""The command line: `taskruns-controller`, also `python -m taskruns.operator`.

Its first argument may be `cleanup`, which is told of in the module of that name. Without it the
controller runs, and ends with these exit codes: 0 after SIGTERM or SIGINT; 1 when it
cannot go on; 2 for wrong settings.
"""

import asyncio
import logging
import os
import sys
import threading

from taskruns.engines.kubernetes import NoConfiguration
from taskruns.operator import settings, structured_logging, uninstall
from taskruns.operator.controller import WrapEngine, run
from taskruns.operator.health import CannotServe
from taskruns.operator.settings import Settings

log = logging.getLogger(__name__)

LAST_SECONDS = 1.0
"""What is left to the loop once everything of ours has been closed."""


def main(argv: list[str] | None = None, wrap: WrapEngine = lambda engine: engine) -> int:
    """Run the controller until it is told to stop; return the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == [uninstall.COMMAND]:
        return uninstall.main(argv[1:], os.environ)
    told = settings.read(argv, os.environ)
    structured_logging.configure(told.log_format, told.log_level)
    with asyncio.Runner() as runner:
        code = _run(runner, told, wrap)
        # Closing the loop waits for whatever kopf has left in it, and that may not end.
        last = threading.Timer(LAST_SECONDS, os._exit, (code,))
        last.daemon = True
        last.start()
    last.cancel()
    return code


def _run(runner: asyncio.Runner, told: Settings, wrap: WrapEngine) -> int:
    try:
        return runner.run(run(told, wrap))
    except NoConfiguration as error:
        log.critical("no cluster to serve: %s", error)
    except CannotServe as error:
        log.critical("the %s", error)
    return 1


if __name__ == "__main__":
    sys.exit(main())
