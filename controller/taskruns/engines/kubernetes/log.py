"""Reader of a container's log through the apiserver, to its end in spite of interruptions."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from http import HTTPStatus

from taskruns.engines.engine import Unavailable
from taskruns.engines.kubernetes.client import Denied, NotStarted
from taskruns.engines.kubernetes.responses import PASSING, is_server_failure
from taskruns.engines.log_position import LogLost, TimedLines

Read = Callable[..., AsyncIterator[bytes]]
"""Function that requests a log; takes `follow` and `since`, a time or None for the start."""

_RETRY_SECONDS = 1.0
"""Delay before a retry while the apiserver or the kubelet is unavailable, in seconds."""
_END_SECONDS = 2.0
"""Delay before a log that has ended is read again while its attempt is not over, in seconds."""
_MAX_NOT_FOUND = 15
"""Maximum number of 404 responses in a row, one second apart, for the Pod of an ended attempt."""
_NANOSECONDS = 10**9


class LogReader:
    """Follows one container's log to its end, across restarts of the apiserver and the kubelet.

    A response ends in the same way at the end of the log and at a failure of the kubelet. So only a
    response that was requested after the attempt was over proves that the log has been read to its
    end.
    """

    def __init__(self, read: Read, over: asyncio.Event, pod: str) -> None:
        """Create a reader at the start of the log.

        Args:
            read: function that requests the log.
            over: event that is set once the attempt is over.
            pod: name of the Pod, for messages.
        """
        self._read, self._over, self._pod = read, over, pod
        self._lines = TimedLines()
        self._is_allowed = self._is_complete = self._is_gone = False
        self._not_found_count = 0

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield pieces of the log as they arrive; an empty piece only shows that data arrived.

        Raises:
            Denied: the log may not be read, or the Pod does not exist.
            LogLost: a part of the log can no longer be read.
        """
        while not self._is_gone:
            last = self._over.is_set()
            async for piece in self._request(follow=not last):
                yield piece
            if last and self._is_complete:
                break
            await self._pause(last=last)
        if self._lines.error:
            raise LogLost(self._lines.error)
        if self._lines.position.gap:
            raise LogLost("the log was rotated while it could not be read, lines are missing")

    async def _request(self, *, follow: bool) -> AsyncIterator[bytes]:
        self._lines.rewind()
        previous_was_complete, self._is_complete = self._is_complete, False
        try:
            async for chunk in self._read(follow=follow, since=_time(self._lines.position.since)):
                self._is_allowed = True
                yield self._lines.feed(chunk)
            self._is_complete = True
            self._not_found_count = 0
        except NotStarted:
            self._is_complete = not self._is_allowed
        except Unavailable:
            return
        except Denied as error:
            if error.answer.code == HTTPStatus.NOT_FOUND and self._is_allowed:
                self._handle_not_found(error, previous_was_complete=previous_was_complete)
            elif not _is_passing(error, allowed=self._is_allowed):
                raise

    def _handle_not_found(self, error: Denied, *, previous_was_complete: bool) -> None:
        """Record a 404 response for the Pod, which a restarted kubelet returns too.

        Args:
            error: the response.
            previous_was_complete: whether the previous response was complete.

        Raises:
            LogLost: the Pod is gone, and its log was not read to the end.
        """
        self._is_complete = previous_was_complete
        if self._over.is_set():
            self._not_found_count += 1
        if self._not_found_count and previous_was_complete:
            self._is_gone = True
        elif self._not_found_count > _MAX_NOT_FOUND:
            message = f"Pod {self._pod} was deleted before its log was read to the end"
            raise LogLost(message) from error

    async def _pause(self, *, last: bool) -> None:
        if not self._is_complete:
            await asyncio.sleep(_RETRY_SECONDS)
        elif not last:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), _END_SECONDS)


def _is_passing(error: Denied, *, allowed: bool) -> bool:
    """Return whether the same request may succeed later."""
    code = error.answer.code
    return is_server_failure(code) or (allowed and code in PASSING)


def _time(since: int) -> datetime | None:
    return datetime.fromtimestamp(since // _NANOSECONDS, UTC) if since else None
