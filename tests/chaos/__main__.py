"""Run chaos and print its table: `make chaos`, or `make chaos SEED=7` to replay the same faults.

The exit code is 1 if anything was lost, repeated or stuck.
"""

import argparse
import random
import sys
import time

from tests.chaos.report import table
from tests.chaos.schedule import WITHOUT_SPARE_NODE, Kind
from tests.chaos.session import Plan, Session
from tests.cluster import Cluster


def main(arguments: list[str]) -> int:
    options = parser().parse_args(arguments)
    seed = options.seed if options.seed is not None else random.randrange(10**6)
    say(f"seed {seed}")
    plan = Plan(
        seed,
        options.seconds,
        options.simulated,
        options.real,
        kinds=WITHOUT_SPARE_NODE if options.without_spare_node else tuple(Kind),
    )
    cluster = Cluster(options.cluster)
    was_up = cluster.is_up()
    began = time.monotonic()
    if not was_up:
        cluster.up(progress=say)
    try:
        outcome = Session(cluster, plan, say).run()
    finally:
        if not was_up:
            cluster.down(progress=say)
    print(outcome.logs)
    print(table(outcome))
    say(f"it took {time.monotonic() - began:.0f} s; replay: make chaos SEED={seed}")
    return 0 if outcome.verdicts.clean else 1


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, help="the default is random, and is printed")
    parser.add_argument("--seconds", type=float, default=480, help="time of the faults (480)")
    parser.add_argument("--simulated", type=int, default=2000, help="runs on kwok's node (2000)")
    parser.add_argument("--real", type=int, default=50, help="runs on real nodes (50)")
    parser.add_argument("--cluster", default="chaos", help="name of the test cluster (chaos)")
    parser.add_argument(
        "--without-spare-node", action="store_true", help="leave out the node that is powered off"
    )
    return parser


def say(line: str) -> None:
    """Print a line of progress."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
