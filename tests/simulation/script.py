"""What a container does once it is started: the simulation's stand-in for a program."""

import math
from dataclasses import dataclass

from taskruns.engines.docker.pod_status import MESSAGE_LIMIT, last_words

FOR_EVER = math.inf
SIGKILL_CODE = 137
SIGTERM_CODE = 143
POD_MESSAGE_LIMIT = 12 * 1024
"""Bytes that all containers of a Pod share."""


@dataclass(frozen=True, slots=True)
class Script:
    """One container's life. The default is a program that ends well after a tenth of a second."""

    seconds: float = 0.1
    """How long it runs by itself."""
    exit_code: int = 0
    oom: bool = False
    """The kernel kills it for its memory: exit code 137, reason OOMKilled."""
    termination: bytes = b""
    """What it has written to its termination message file when it ends by itself."""
    log: bytes = b""
    """The end of its log."""
    term_seconds: float | None = None
    """How long it takes to leave on SIGTERM; None: it does not listen, and is killed."""
    term_exit_code: int = SIGTERM_CODE
    waiting: str | None = None
    """Why it cannot be started (ImagePullBackOff, CreateContainerConfigError, ...)."""
    waiting_seconds: float = FOR_EVER
    """After how long it can be started all the same."""
    start_error: str | None = None
    """What the runtime says when there is no such program: exit code 128, never started."""

    def message(self, exit_code: int, containers: int, *, finished: bool) -> str:
        """Return the termination message that the kubelet reports.

        `finished` tells whether the program came to its own end, where it writes its file.
        """
        limit = min(MESSAGE_LIMIT, POD_MESSAGE_LIMIT // containers)
        return last_words(self.termination if finished else b"", self.log, exit_code, limit)
