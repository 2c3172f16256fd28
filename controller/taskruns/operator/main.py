"""The command line: `taskruns-controller`, also `python -m taskruns.operator`.

Exit codes: 0 after SIGTERM or SIGINT; 1 when it cannot go on; 2 for wrong settings.
"""

import asyncio
import logging
import os
import sys

from taskruns.engines.kubernetes import NoConfiguration
from taskruns.operator import logs, settings
from taskruns.operator.controller import WrapEngine, run

log = logging.getLogger(__name__)


def main(argv: list[str] | None = None, wrap: WrapEngine = lambda engine: engine) -> int:
    """Run the controller until it is told to stop; return the exit code."""
    told = settings.read(sys.argv[1:] if argv is None else argv, os.environ)
    logs.configure(told.log_format, told.log_level)
    try:
        return asyncio.run(run(told, wrap))
    except NoConfiguration as error:
        log.critical("no cluster to serve: %s", error)
    except OSError as error:
        log.critical("the probes cannot be served on %s:%s: %s", told.probes_host,
                     told.probes_port, error)  # fmt: skip
    return 1
