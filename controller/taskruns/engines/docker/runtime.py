"""Container runtime of one run: image pull, volumes, container creation, termination message."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path, PurePosixPath

from taskruns.clock import Clock
from taskruns.core.unstructured import Object, mapping, mappings, number, text
from taskruns.engines.docker.container import NO_SECRETS, Secrets, container_of, main_container
from taskruns.engines.docker.daemon import NO_SUCH_SOURCE, Daemon, DaemonError
from taskruns.engines.docker.fields import Unsupported
from taskruns.engines.docker.image_pull import Pull, pull_policy, with_login_advice
from taskruns.engines.docker.pod_status import (
    MESSAGE_LIMIT,
    NO_LOG,
    StartError,
    termination_message,
)
from taskruns.engines.docker.state_file import PULL_BEGAN, PULL_ENDED, StateFile, uid_of
from taskruns.engines.docker.volumes import checked_paths, writable_folders
from taskruns.engines.engine import EngineError, Unavailable

_DIRECTORY, _DEVICE, _CHARACTERS, _PIPE, _SOCKET, _LINK, _IRREGULAR = (
    1 << bit for bit in (31, 26, 21, 25, 24, 27, 19)
)
"""Type bits of a file mode as Go defines them; a regular file has none."""
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
"""File kind that each hostPath type requires."""


async def create_files(daemon: Daemon, pod: Object) -> None:
    """Create the missing files of hostPath volumes of type FileOrCreate.

    Raises:
        DaemonError: The daemon rejects the request, for example because the folder is missing.
    """
    image = text(main_container(pod).get("image"))
    for kind, path in _checked(pod).values():
        if kind == "FileOrCreate":
            await daemon.ensure_file(pod["metadata"]["name"], image, path)


async def find_mismatch(daemon: Daemon, pod: Object) -> str:
    """Return an error message for the first hostPath that does not match its type, or "".

    The Pod's container must exist and must not have started.

    Raises:
        DaemonError: The daemon rejects the request.
    """
    for target, (kind, path) in _checked(pod).items():
        mode = await daemon.mode_of(pod["metadata"]["name"], target)
        if mode is None:
            return f"hostPath {path} of type {kind} cannot be checked"
        bits = mode & sum((_DIRECTORY, _DEVICE, _CHARACTERS, _PIPE, _SOCKET, _LINK, _IRREGULAR))
        if (actual := _KINDS.get(bits, "special file")) != _WANTED[kind]:
            return f"hostPath {path} of type {kind} is a {actual}: correct the path or the type"
    return ""


def with_path_advice(message: str) -> str:
    """Return the daemon's message, with advice if a bind source path does not exist."""
    if NO_SUCH_SOURCE not in message:
        return message
    return f"{message}: create it, or set type DirectoryOrCreate of the hostPath"


def _checked(pod: Object) -> dict[str, tuple[str, str]]:
    return checked_paths(mapping(pod.get("spec")), main_container(pod))


log = logging.getLogger(__name__)

_RUNTIMES_OWN = ("/dev/", "/proc/", "/sys/")
"""Folders that the runtime mounts into a container; their content is lost when it ends."""
_NOT_KEPT = HTTPStatus.NOT_IMPLEMENTED
"""HTTP code of the daemon if a container's log driver does not support reading."""
_READS, _READ_SECONDS = 2, 60.0
"""Number of tries to read the output of an ended container, and timeout of each, in seconds."""
NAME_TAKEN = HTTPStatus.CONFLICT
"""HTTP code of the daemon if a container of that name exists."""


class Runtime:
    """Creates the containers of one run and reads their output.

    The termination message file is a file of this machine that is mounted into the container, as
    a kubelet does it. If the daemon cannot access this machine's files, the file is fetched from
    the ended container instead.
    """

    def __init__(
        self,
        file: StateFile,
        daemon: Daemon,
        now: Clock,
        secrets: Secrets = NO_SECRETS,
    ) -> None:
        self._file = file
        self._daemon = daemon
        self._secrets = secrets
        self.now = now
        self.pull: Pull | None = None
        """Image pull in progress, or None."""

    async def fetch_image(self, pod: Object) -> StartError | None:
        """Ensure that the image is present, pulling it if needed; return the error, or None."""
        main = main_container(pod)
        image, policy = text(main.get("image")), text(main.get("imagePullPolicy"))
        try:
            present = policy != "Always" and await self._daemon.has_image(image)
            if not present and policy == "Never":
                return StartError("ErrImageNeverPull", f"image {image} is not on this Docker host")
            if not present:
                self.pull = Pull(image)
                await self._note(pod, PULL_BEGAN)
                await self._daemon.pull(image, self.pull.note)
                await self._note(pod, PULL_ENDED)
        except DaemonError as error:
            invalid = "invalid reference format" in str(error)
            message = with_login_advice(image, str(error)) + await self._advice(image)
            return StartError("InvalidImageName" if invalid else "ErrImagePull", message)
        except Unavailable as error:
            return StartError("ErrImagePull", str(error))
        finally:
            self.pull = None
        return None

    async def _advice(self, image: str) -> str:
        """Return advice if a failed pull was unnecessary because the image is present, or ""."""
        with suppress(EngineError):
            if pull_policy(image) == "Always" and await self._daemon.has_image(image):
                return (
                    ". The image is on this Docker host, but an image without a tag, or with the "
                    "tag latest, is pulled for every attempt: to use the local one, set "
                    "imagePullPolicy: IfNotPresent, or add another tag"
                )
        return ""

    async def _note(self, pod: Object, step: str) -> None:
        async with self._file.change() as record:
            record.note_pull(pod, step, self.now())

    async def create(self, pod: Object) -> None:
        """Create the container.

        Raises:
            DaemonError: The daemon rejects the request; its code is NAME_TAKEN if a container of
                that name exists.
            Unsupported: The Pod uses a feature that Docker does not have, or a secret value that
                the client has not supplied.
        """
        name, path = pod["metadata"]["name"], _message_path(pod)
        body = container_of(pod, self._secrets)
        await create_files(self._daemon, pod)
        message_file = await asyncio.to_thread(self.create_message_file, pod)
        mount = {"Type": "bind", "Source": str(message_file), "Target": path}
        config = body["HostConfig"]
        try:
            if self._daemon.local:
                mounted = {**config, "Mounts": [*config["Mounts"], mount]}
                await self._daemon.create(name, body | {"HostConfig": mounted})
                return
        except DaemonError as error:
            if NO_SUCH_SOURCE not in str(error):
                raise
        must_copy = _is_to_be_put(pod, path)
        await self._daemon.create(name, body)
        if must_copy:
            await self._daemon.write_empty_file(name, path)

    async def find_mismatch(self, pod: Object) -> str:
        """Return an error message for the first hostPath that does not match its type, or ""."""
        return await find_mismatch(self._daemon, pod)

    async def open_volumes(self, pod: Object, container: Object) -> None:
        """Make the emptyDir volumes of a container writable for every user, as on a cluster.

        Args:
            pod: Pod of the container.
            container: The container as Docker inspects it.

        Raises:
            DaemonError: The daemon rejects the request.
        """
        folders = writable_folders(pod["spec"], main_container(pod))
        mounted = {
            text(mount.get("Destination")): mount for mount in mappings(container.get("Mounts"))
        }
        volumes = {path: text(mounted[path].get("Name")) for path in folders if path in mounted}
        if volumes:
            name, image = pod["metadata"]["name"], text(container.get("Image"))
            await self._daemon.open_volumes(name, image, volumes)

    async def termination_message(self, pod: Object, container: Object) -> str:
        """Return the termination message of an ended container.

        The message is the content of its file or, after a failure, the end of its log. An
        unreadable file is logged and skipped. An unreadable log is replaced by a sentence with
        the cause. Neither prevents the attempt from ending.

        Args:
            pod: Pod of the container.
            container: The container as Docker inspects it.

        Raises:
            NoDaemon: The daemon does not answer.
        """
        name, path = pod["metadata"]["name"], _message_path(pod)
        code = number(mapping(container.get("State")).get("ExitCode")) or 0
        written = await asyncio.to_thread(_tail, self._file.message_file(uid_of(pod)))
        if not written and not path.startswith(_RUNTIMES_OWN):
            file = await self._read(lambda: self._daemon.end_of_file(name, path, MESSAGE_LIMIT))
            if isinstance(file, _Unreadable):
                log.warning("%s: the result file %s cannot be read: %s", name, path, file.why)
            else:
                written = file
        if written or not code or main_container(pod).get("terminationMessagePolicy") == "File":
            return termination_message(written, b"", 0)
        tail = await self._read(lambda: self._daemon.log_tail(name))
        if isinstance(tail, _Unreadable):
            return tail.in_place_of_log
        return termination_message(b"", tail, code)

    async def _read(self, read: Callable[[], Awaitable[bytes]]) -> "bytes | _Unreadable":
        """Read output of an ended container; return the content, or why it is unreadable.

        If the daemon answers other requests but not this one, the content counts as unreadable
        after a limited number of tries.

        Raises:
            NoDaemon: The daemon answers no request.
        """
        why = ""
        for _ in range(_READS):
            try:
                async with asyncio.timeout(_READ_SECONDS):
                    return await read()
            except DaemonError as error:
                return _Unreadable(str(error), keeps_none=error.code == _NOT_KEPT)
            except (Unavailable, TimeoutError) as error:
                await self._daemon.check()
                why = str(error) or f"no answer within {_READ_SECONDS:.0f} s"
        return _Unreadable(why)

    def clear(self, pod: Object) -> None:
        """Remove the termination message file, and its folder if that is empty."""
        message_file = self._file.message_file(uid_of(pod))
        message_file.unlink(missing_ok=True)
        with suppress(OSError):  # not empty, or another controller has removed it
            message_file.parent.rmdir()

    def create_message_file(self, pod: Object) -> Path:
        """Create the termination message file, writable by any user; return its path.

        Another controller that clears an earlier Pod may remove the folder meanwhile.
        """
        message_file = self._file.message_file(uid_of(pod))
        while True:
            # FileExistsError: a folder was there and is gone when mkdir looks at it again.
            with suppress(FileNotFoundError, FileExistsError):
                message_file.parent.mkdir(parents=True, exist_ok=True)
                message_file.touch()
                message_file.chmod(0o666)  # the container may run as any user
                return message_file


def _message_path(pod: Object) -> str:
    return text(main_container(pod).get("terminationMessagePath")) or "/dev/termination-log"


def _is_to_be_put(pod: Object, path: str) -> bool:
    """Return whether the file at a path must be copied into the container.

    A file in a volume or in a folder of the runtime is not copied.

    Raises:
        Unsupported: The file cannot be copied, because the root filesystem is read-only.
    """
    folders = (
        text(mount.get("mountPath")) for mount in mappings(main_container(pod).get("volumeMounts"))
    )
    if path.startswith(_RUNTIMES_OWN) or any(
        PurePosixPath(path).is_relative_to(folder) for folder in folders
    ):
        return False
    if mapping(main_container(pod).get("securityContext")).get("readOnlyRootFilesystem") is True:
        raise Unsupported(
            "resultPath on a read-only root filesystem of a remote daemon",
            "mount an emptyDir over its folder",
        )
    return True


@dataclass(frozen=True, slots=True)
class _Unreadable:
    """Log or file that the daemon does not return, with the cause."""

    why: str
    keeps_none: bool = False
    """Whether the container's log driver does not support reading."""

    @property
    def in_place_of_log(self) -> str:
        """Sentence that replaces the end of the log in the termination message."""
        if self.keeps_none:
            return f"({NO_LOG}: {self.why})"
        return f"(the log of this container cannot be read: {self.why})"


def _tail(path: Path) -> bytes:
    """Return the end of a file; empty if it is missing or not readable."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(file.tell() - MESSAGE_LIMIT, 0))
            return file.read()
    except OSError:
        return b""
