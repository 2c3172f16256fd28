"""`python -m taskruns.operator`: the same program as `taskruns-controller`."""

import sys

from taskruns.operator.main import main

sys.exit(main())
