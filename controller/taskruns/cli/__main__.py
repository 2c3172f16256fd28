"""`python -m taskruns.cli`, `taskrun` and `kubectl-taskrun`: one program; and what completes it.

The base install brings the program's name without what it is made of, and says so.
"""

import sys

NOT_INSTALLED = 125


def start() -> int:
    """Run the command line and return its exit code."""
    try:
        from taskruns.cli.main import main  # noqa: PLC0415 - so that its absence can be told
    except ModuleNotFoundError as error:
        said = f"{error.name} is missing: install taskruns with its extra cli"
        sys.stderr.write(f"taskrun: {said}\n")
        return NOT_INSTALLED
    return main()


def complete() -> int:
    """Complete the words of `kubectl taskrun`; without what it is made of, by nothing."""
    try:
        from taskruns.cli.completion import complete as completed  # noqa: PLC0415 - as above
    except ModuleNotFoundError:
        return NOT_INSTALLED
    return completed()


if __name__ == "__main__":
    sys.exit(start())
