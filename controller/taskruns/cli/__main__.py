"""`python -m taskruns.cli`, `taskrun` and `kubectl-taskrun`: one program; and what completes it.

The base install brings the program's name without what it is made of, and says so.
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
        from taskruns.cli.main import main  # noqa: PLC0415 - so that its absence can be told

        return main()
    except ModuleNotFoundError as error:
        said = f"{error.name} is missing: install taskruns with its extra cli"
        sys.stderr.write(f"taskrun: {said}\n")
        return NOT_INSTALLED
    except KeyboardInterrupt:
        return INTERRUPTED


def complete() -> int:
    """Complete the words of `kubectl taskrun`; without what it is made of, by nothing."""
    protect()
    try:
        from taskruns.cli.completion import complete as completed  # noqa: PLC0415 - as above
    except ModuleNotFoundError:
        return NOT_INSTALLED
    with suppress(OutputFailed, KeyboardInterrupt):
        return completed()
    drop()
    return NOT_INSTALLED


if __name__ == "__main__":
    sys.exit(start())
