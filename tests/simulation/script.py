"""Scripts of simulated containers, which stand for the programs in them."""

import math
from dataclasses import dataclass

from taskruns.engines.docker.pod_status import MESSAGE_LIMIT, termination_message

FOR_EVER = math.inf
SIGKILL_CODE = 137
SIGTERM_CODE = 143
POD_MESSAGE_LIMIT = 12 * 1024
"""Bytes that all containers of a Pod share."""


@dataclass(frozen=True, slots=True)
class Script:
    """One container's behaviour. The default is a success after a tenth of a second."""

    seconds: float = 0.1
    """Run time until the program ends by itself, in seconds."""
    exit_code: int = 0
    oom: bool = False
    """Whether the kernel kills it for its memory use: exit code 137, reason OOMKilled."""
    termination: bytes = b""
    """Content of its termination message file when it ends by itself."""
    log: bytes = b""
    """End of its log."""
    term_seconds: float | None = None
    """Seconds from SIGTERM to its end; None if it ignores SIGTERM and is killed."""
    term_exit_code: int = SIGTERM_CODE
    waiting: str | None = None
    """Reason why it cannot be started (ImagePullBackOff, CreateContainerConfigError, ...)."""
    waiting_seconds: float = FOR_EVER
    """Seconds after which it can be started all the same."""
    start_error: str | None = None
    """Message of the runtime when there is no such program: exit code 128, never started."""

    def message(self, exit_code: int, containers: int, *, finished: bool) -> str:
        """Return the termination message that the kubelet reports.

        `finished` means that the program ended by itself and wrote its termination message file.
        """
        limit = min(MESSAGE_LIMIT, POD_MESSAGE_LIMIT // containers)
        return termination_message(
            self.termination if finished else b"", self.log, exit_code, limit
        )
