"""How this program was called."""

import sys
from pathlib import Path

_PLUGIN = ("kubectl-taskrun", "kubectl_taskrun", "kubectl_complete-taskrun")


def as_plugin() -> bool:
    """Whether it was called as `kubectl taskrun`, or by kubectl to complete that."""
    return Path(sys.argv[0]).name in _PLUGIN


def program_name() -> str:
    """Return what a person has typed for it."""
    return "kubectl taskrun" if as_plugin() else "taskrun"
