"""Entry points of `taskrun`, `kubectl-taskrun`, `python -m taskruns.cli` and shell completion.

The base install provides the program but not its dependencies. The program then reports the missing
extra.
"""

import atexit
import gc
import os
import sys
from contextlib import suppress
from typing import NoReturn

from taskruns.cli.streams import OutputFailed, drop, protect

NOT_INSTALLED = 125
INTERRUPTED = 130

_COLLECTED_AT = 100_000
"""Number of new objects at which Python collects garbage.

Its default of 700 costs an eighth of the time of a short command, because imports create many
objects and no garbage.
"""


def start() -> NoReturn:
    """Run the command line and exit with its exit code."""
    gc.set_threshold(_COLLECTED_AT)
    # Otherwise pydantic reads the metadata of all installed packages in search of its plugins.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    _exit(run())


def run() -> int:
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


def _exit(code: int) -> NoReturn:
    """Exit without the deallocation of all modules, which takes longer than many commands."""
    with suppress(OutputFailed, OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    atexit._run_exitfuncs()  # noqa: SLF001 - such as the removal of temporary files
    os._exit(code)


if __name__ == "__main__":
    start()
