"""The error type of this package."""


class ClusterError(RuntimeError):
    """An error for the user: what failed, why, and what to do. It is shown without a traceback."""
