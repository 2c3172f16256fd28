"""Whose a run is: of the daemon that had its first container, and of no other.

Clients of several daemons may share a state directory, be it by mistake. To each, what another has
would look like containers that have vanished.
"""

from taskruns.engines.docker.daemon import Daemon
from taskruns.engines.docker.state_file import Record, RecordFile, StateTrouble

_ID, _ADDRESS = "id", "address"


class OfAnotherDaemon(StateTrouble):
    """The run is another daemon's; the message says what to do."""


async def belongs(record: Record, daemon: Daemon) -> bool:
    """Whether a run is a daemon's, or nobody's yet. Raises NoDaemon."""
    return not record.home or record.home[_ID] == await daemon.identity()


async def claim(file: RecordFile, daemon: Daemon) -> None:
    """See that a run is a daemon's: that of the first who asks has it for good.

    Raises:
        OfAnotherDaemon: it is not.
        NoDaemon: the daemon does not answer.
        StateTrouble: the state directory cannot be used.
    """
    record = await file.read()
    if not record.home and not record.empty:
        home = {_ID: await daemon.identity(), _ADDRESS: daemon.address}
        async with file.change() as record:
            if not record.home and not record.empty:
                record.home = home
    if not await belongs(record, daemon):
        raise OfAnotherDaemon(
            f"{file.name} is with another Docker daemon, then at {record.home[_ADDRESS]}, than "
            f"the one at {daemon.address}: set DOCKER_HOST to where that is or, if it is gone for "
            f"good, remove {file.path}"
        )
