"""The decision: what a run needs next, as a pure function of what is seen. No I/O, no clock."""
