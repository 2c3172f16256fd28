"""Entry points of `taskrun`, `kubectl-taskrun`, `python -m taskruns.cli` and shell completion.

The base install provides the program but not its dependencies. The program then reports the missing
extra.
"""

import sys
from contextlib import suppress

from taskruns.cli.streams import OutputFailed, drop, protect

NOT_INSTALLED = 125
INTERRUPTED = 130


def start() -> int:
    """Run the command line and return its exit code."""
    try:
        protect()
        from taskruns.cli.main import main  # noqa: PLC0415 - it may be missing

        return main()
    except ModuleNotFoundError as error:
        message = f"{error.name} is missing: install taskruns with its extra cli"
        sys.stderr.write(f"taskrun: {message}\n")
        return NOT_INSTALLED
    except KeyboardInterrupt:
        return INTERRUPTED


def complete() -> int:
    """Print the completions of `kubectl taskrun`; print none if a dependency is missing."""
    protect()
    try:
        from taskruns.cli.commands.version import complete as completed  # noqa: PLC0415 - as above
    except ModuleNotFoundError:
        return NOT_INSTALLED
    with suppress(OutputFailed, KeyboardInterrupt):
        return completed()
    drop()
    return NOT_INSTALLED


if __name__ == "__main__":
    sys.exit(start())
