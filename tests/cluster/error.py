"""The one error of this package: a sentence for a person, with what to do next."""


class ClusterError(RuntimeError):
    """What went wrong, why, and what to do; shown as it is, without a traceback."""
