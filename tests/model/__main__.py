"""Check many histories: `python -m tests.model`, or `make soak`.

Histories are checked in numbered batches. A batch depends on the seed and on its number only, so
the same seed finds the same failure. A failure is shrunk, and printed as a script that replays it.
"""

import argparse
import logging
import multiprocessing
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import count
from pathlib import Path

from tests.model import mutants
from tests.model.batch import HISTORIES, Result, check

logging.disable(logging.WARNING)  # in each worker, which imports this module too


def main(arguments: list[str]) -> int:
    options = parser().parse_args(arguments)
    if options.mutants:
        return check_mutants(options.seed or 0)
    seed = options.seed if options.seed is not None else random.randrange(10**6)
    print(f"seed {seed}, at most {options.seconds:g} s, {options.workers} workers", flush=True)
    if options.batch is not None:
        results: Iterator[Result] = iter([check(seed, options.batch)])
    else:
        results = check_batches(seed, options)
    totals: Counter[str] = Counter()
    began = time.monotonic()
    for result in results:
        totals += result.totals
        seconds = time.monotonic() - began
        print(f"{seconds:6.0f} s  {totals['histories']:6d} histories", flush=True)
        if result.summary:
            return report_failure(seed, result)
    print(table(totals))
    return 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.model",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, help="the default is random, and is printed")
    parser.add_argument("--batch", type=int, help="check only the batch of this number")
    parser.add_argument("--seconds", type=float, default=300, help="limit of time (300)")
    parser.add_argument("--histories", type=int, default=10**9, help="limit of histories (none)")
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    parser.add_argument(
        "--mutants", action="store_true", help="require that faults put into the code are found"
    )
    return parser


def check_batches(seed: int, options: argparse.Namespace) -> Iterator[Result]:
    """Yield the results of batches until the limit of time, or of histories."""
    deadline, numbers = time.monotonic() + options.seconds, count()
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(options.workers, context)
    running: set[Future[Result]] = set()
    begun = 0
    while True:
        while len(running) < options.workers and begun < options.histories:
            if time.monotonic() >= deadline:
                break
            running.add(pool.submit(check, seed, next(numbers)))
            begun += HISTORIES
        if not running:
            break
        done, running = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            yield future.result()
            if future.result().summary:
                pool.shutdown(wait=False, cancel_futures=True)
                return
    pool.shutdown()


def report_failure(seed: int, result: Result) -> int:
    path = Path(".build") / "soak" / f"seed-{seed}-batch-{result.batch}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(result.script)
    print(f"{result.traceback}\n{result.script}")
    print(f"Replay the script: PYTHONPATH=. python {path}")
    print(f"Find it again:     make soak SEED={seed} BATCH={result.batch}")
    return 1


def table(totals: Counter[str]) -> str:
    """Return the counts as aligned lines, the number of histories first."""
    first = ("histories", "runs", "attempts", "requests")
    names = [*first, *sorted(name for name in totals if name not in first)]
    width = max(len(name) for name in names)
    lines = [f"{name:{width}}  {totals[name]:9,d}" for name in names]
    return "\n".join(["", *lines, f"{'violations':{width}}  {0:9d}"])


def check_mutants(seed: int) -> int:
    """Print what is found with each fault in the code; return 1 if one is not found."""
    missed = 0
    for name, mutant in mutants.MUTANTS.items():
        with mutant():
            batches = (check(seed, batch, shorten=False) for batch in range(20))
            result = next((each for each in batches if each.summary), None)
        missed += result is None
        print(f"{name:55}  {result.summary if result else 'NOT FOUND'}", flush=True)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
