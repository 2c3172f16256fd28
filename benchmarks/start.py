"""Start-up time of `taskrun`: minimum and median of many starts.

    python -m benchmarks.start

On an idle machine the median is the time that a user waits; the minimum is the time of the program
itself. Nothing is asserted; a test limits the imports, which determine this time.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

COMMANDS = ("--help", "version --client", "list", "list -o json")


def measure(line: str, times: int, folder: str) -> list[float]:
    """Return the duration of each start, in seconds."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        subprocess.run(  # noqa: S603 - this program itself
            [sys.executable, "-m", "taskruns.cli", *line.split()],
            env=os.environ | {"TASKRUNS_STATE_DIR": folder},
            capture_output=True,
            check=True,
        )
        taken.append(time.perf_counter() - began)
    return taken


def main() -> None:
    """Run the benchmark and print the outcome."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="starts of each command (20)")
    times = parser.parse_args().times
    with tempfile.TemporaryDirectory() as folder:
        for line in COMMANDS:
            taken = measure(line, times, folder)
            middle = statistics.median(taken)
            print(f"taskrun {line:<18} minimum {min(taken):.3f} s, median {middle:.3f} s")


if __name__ == "__main__":
    main()
