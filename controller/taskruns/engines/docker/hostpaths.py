"""Types of hostPath volumes, checked on the daemon's machine, which may not be the client's.

The daemon has no request that looks at a path of its machine. A container that is created and not
yet started has the path mounted, and the daemon does look into that.
"""

from collections.abc import Mapping

from taskruns.core.unstructured import mapping, text
from taskruns.engines.docker.container import main_of
from taskruns.engines.docker.daemon import NO_SUCH_SOURCE, Daemon
from taskruns.engines.docker.volumes import checked_paths
from taskruns.engines.engine import Object

_DIRECTORY, _DEVICE, _CHARACTERS, _PIPE, _SOCKET, _LINK, _IRREGULAR = (
    1 << bit for bit in (31, 26, 21, 25, 24, 27, 19)
)
"""Bits of a file's mode as Go has them; a regular file has none."""
_KINDS: Mapping[int, str] = {
    0: "file",
    _DIRECTORY: "directory",
    _DEVICE: "block device",
    _DEVICE | _CHARACTERS: "character device",
    _PIPE: "pipe",
    _SOCKET: "socket",
    _LINK: "symbolic link",
}
_WANTED: Mapping[str, str] = {
    "DirectoryOrCreate": "directory",
    "Directory": "directory",
    "FileOrCreate": "file",
    "File": "file",
    "Socket": "socket",
    "CharDevice": "character device",
    "BlockDevice": "block device",
}
"""What a hostPath of a type has to be."""


async def create_files(daemon: Daemon, pod: Object) -> None:
    """Create the missing files of hostPath volumes that want them created.

    Raises:
        DaemonError: the daemon says no, as where the folder of such a file is missing.
    """
    image = text(main_of(pod).get("image"))
    for kind, path in _checked(pod).values():
        if kind == "FileOrCreate":
            await daemon.ensure_file(pod["metadata"]["name"], image, path)


async def find_mismatch(daemon: Daemon, pod: Object) -> str:
    """Return the sentence about a hostPath that is not what its type says; empty: all are.

    Its container is there and has not started.

    Raises:
        DaemonError: the daemon says no.
    """
    for target, (kind, path) in _checked(pod).items():
        mode = await daemon.mode_of(pod["metadata"]["name"], target)
        if mode is None:
            return f"hostPath {path} of type {kind} cannot be checked"
        bits = mode & sum((_DIRECTORY, _DEVICE, _CHARACTERS, _PIPE, _SOCKET, _LINK, _IRREGULAR))
        if (there := _KINDS.get(bits, "special file")) != _WANTED[kind]:
            return f"hostPath {path} of type {kind} is a {there}: correct the path or the type"
    return ""


def advised(message: str) -> str:
    """Add to a daemon's sentence about a path of its machine what to do."""
    if NO_SUCH_SOURCE not in message:
        return message
    return f"{message}: create it, or let the hostPath have type DirectoryOrCreate"


def _checked(pod: Object) -> dict[str, tuple[str, str]]:
    return checked_paths(mapping(pod.get("spec")), main_of(pod))
