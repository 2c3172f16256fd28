"""Entry point of `python -m benchmarks.throughput`."""

import sys

from benchmarks.throughput.cli import main

sys.exit(main(sys.argv[1:]))
