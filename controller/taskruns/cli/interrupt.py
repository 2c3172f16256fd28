"""What Ctrl-C does to a run that is followed."""

import asyncio
import signal

from taskruns.cli.backend import Following, Place, command_for
from taskruns.cli.exit_codes import CommandError
from taskruns.cli.progress import Teller
from taskruns.engines.engine import EngineError, Unavailable

_ANSWER_SECONDS = 5.0
"""Time in which a kill is answered."""


class Interrupt:
    """The first Ctrl-C cancels with the grace period, the second kills.

    Where that cannot be done, because nothing answers, and in any case at the third, this program
    leaves the run. It is for the one task that follows the run, which is then cancelled.
    """

    def __init__(self, place: Place, name: str, following: Following, teller: Teller) -> None:
        self.farewell = ""
        """What to say of a run that is left; empty where it is not."""
        self.pod = ""
        """The Pod of the current attempt."""
        self.is_over = False
        """Whether the run has ended, and only its log is read."""
        self._place, self._name, self._following = place, name, following
        self._teller = teller
        self._task = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        self._cancelling: asyncio.Task[bool] | None = None
        self._killing: asyncio.Task[None] | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, self._interrupted)

    def forget(self) -> None:
        """Let signals be what they are by default."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.remove_signal_handler(number)
        for task in (self._cancelling, self._killing):
            if task is not None:
                task.cancel()

    def catch(self) -> None:
        """Take back the cancellation of the task, which its farewell replaces."""
        if self._task is not None:
            self._task.uncancel()

    @property
    def _is_cancelled(self) -> bool:
        """Whether the cancellation has been accepted."""
        cancelling = self._cancelling
        return cancelling is not None and cancelling.done() and cancelling.result()

    def _interrupted(self) -> None:
        if self.is_over:
            self._leave()
        elif self._cancelling is None:
            self._teller.say("cancelling; once more asks for its end at once")
            self._cancelling = asyncio.create_task(self._cancel())
        elif self._is_cancelled and self._killing is None and self.pod:
            self._teller.say("killing its container; once more leaves it")
            self._killing = asyncio.create_task(self._kill())
        else:
            self._leave()

    async def _cancel(self) -> bool:
        try:
            await self._following.cancel()
        except (CommandError, EngineError) as error:
            self._teller.warn(f"not cancelled: {error}; once more leaves it")
            return False
        return True

    async def _kill(self) -> None:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self._following.kill(self.pod)
        except CommandError as error:
            self._teller.warn(f"{error}; once more leaves it")
        except (Unavailable, TimeoutError):
            self._leave()

    def _leave(self) -> None:
        """End this program; what becomes of the run is said with how to come back to it."""
        if self.farewell or self._task is None:
            return
        if self.is_over:
            command = command_for(self._place, "logs", self._name)
            self.farewell = f"{self._name} has ended, its log is not complete here: `{command}`"
        elif self._is_cancelled:
            self._place.leave_follower(self._name)
            command = command_for(self._place, "wait", self._name)
            self.farewell = (
                f"leaving {self._name} before its end, its cancellation is requested: `{command}` "
                "waits for it"
            )
        else:
            command = command_for(self._place, "follow", self._name)
            self.farewell = (
                f"leaving {self._name}, which is not cancelled: `{command}` comes back to it"
            )
        self._task.cancel()
