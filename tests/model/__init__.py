"""A model checker of the promise: random histories of users, a cluster and two controllers.

`machine` holds the steps of which a history consists, and the invariants. Hypothesis chooses the
steps, and shrinks a history that breaks an invariant to a short script. `python -m tests.model`
checks many histories (`make soak`), and `mutants` holds faults of the product that it must find.
"""

from tests.model.machine import Model
from tests.simulation import Script

__all__ = ["Model", "Script"]
