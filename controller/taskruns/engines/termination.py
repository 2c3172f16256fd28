"""What is kept of a container's last words, as a kubelet keeps it."""

import re

MESSAGE_LIMIT = 4096
"""Bytes that are kept of the file that a container writes."""
LOG_LIMIT = 2048
LOG_LINES = 80
"""Of the log of one that failed without writing any, these many bytes and lines."""


def last_words(written: bytes, log: bytes, exit_code: int, limit: int = MESSAGE_LIMIT) -> str:
    """Return the termination message: what was written or, after a failure, the log's end.

    A byte that is not UTF-8 becomes U+FFFD, one for each as in Go.
    """
    kept = written
    if not kept and exit_code != 0:
        kept = b"\n".join(log[-LOG_LIMIT:].split(b"\n")[-LOG_LINES:])
    text = kept[-limit:].decode("utf-8", errors="surrogateescape")
    return re.sub("[\udc80-\udcff]", "\N{REPLACEMENT CHARACTER}", text)
