"""The decision on a run: a pure function of the objects, with no I/O and no clock."""
