"""What a container does once it is started: the simulation's stand-in for a program."""

import math
import re
from dataclasses import dataclass

FOR_EVER = math.inf
SIGKILL_CODE = 137
SIGTERM_CODE = 143
MESSAGE_LIMIT = 4096
"""Bytes of a termination message that the kubelet keeps of one container."""
POD_MESSAGE_LIMIT = 12 * 1024
"""Bytes that all containers of a Pod share."""
LOG_LIMIT = 2048
LOG_LINES = 80


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
        text = self.termination if finished else b""
        if not text and exit_code != 0:
            text = b"\n".join(self.log[-LOG_LIMIT:].split(b"\n")[-LOG_LINES:])
        limit = min(MESSAGE_LIMIT, POD_MESSAGE_LIMIT // containers)
        # Go, unlike Python, makes one U+FFFD of every byte that it cannot decode.
        kept = text[-limit:].decode("utf-8", errors="surrogateescape")
        return re.sub("[\udc80-\udcff]", "\N{REPLACEMENT CHARACTER}", kept)
