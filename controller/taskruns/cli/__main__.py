"""`python -m taskruns.cli`: the same program as `taskrun`."""

import sys

from taskruns.cli.main import main

sys.exit(main())
