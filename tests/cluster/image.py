"""The images that every cluster starts with: pause, which every Pod needs, and busybox."""

import platform
import shutil
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.cluster import archive, binary, place
from tests.cluster.configuration import PAUSE_IMAGE
from tests.cluster.error import ClusterError
from tests.cluster.lock import held
from tests.cluster.progress import Progress

BUSYBOX = Path("/bin/busybox")
BUSYBOX_IMAGE = "docker.io/library/busybox:1"
INTERPRETER = 3  # PT_INTERP
# Version of the image recipe; increase it when this module creates other images.
RECIPE = "1"

Make = Callable[[Path, Path], None]


def architecture() -> str:
    machine = platform.machine()
    return archive.ARCHITECTURES.get(machine, machine)


def needs_interpreter(program: bytes) -> bool:
    """Return whether a 64-bit ELF program is dynamically linked: it has a PT_INTERP header."""
    offset, size, count = (
        *struct.unpack_from("<Q", program, 32),
        *struct.unpack_from("<HH", program, 54),
    )
    headers = (struct.unpack_from("<I", program, offset + i * size)[0] for i in range(count))
    return INTERPRETER in headers


def cached(name: str, key: str, progress: Progress, make: Make) -> Path:
    """Return the cached archive for a key.

    Args:
        name: name of the image.
        key: key of its content.
        progress: receives progress lines.
        make: creates the archive, if it is missing, from a scratch folder and the archive's path.
    """
    path = place.cache() / "images" / f"{name}-{key}.tar"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with held(path.with_suffix(".lock"), f"the image {name}", progress):
        if not path.exists():
            scratch = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=path.parent))
            try:
                make(scratch, scratch / "image.tar")
                (scratch / "image.tar").rename(path)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
    return path


def busybox(progress: Progress) -> Path:
    if needs_interpreter(BUSYBOX.read_bytes()):
        raise ClusterError(
            f"{BUSYBOX} is linked dynamically, but a container has no libraries: install "
            "Debian's busybox-static"
        )

    def make(scratch: Path, made: Path) -> None:
        layer = archive.busybox(scratch / "layer.tar", BUSYBOX)
        layer.write()
        settings = archive.Settings(architecture(), command=("sh",))
        tags = (BUSYBOX_IMAGE, "docker.io/library/busybox:latest")
        archive.write(made, [layer.path], settings, tags)

    return cached("busybox", binary.content_key([RECIPE], [BUSYBOX]), progress, make)


def pause(progress: Progress) -> Path:
    program = binary.build(binary.PAUSE, progress) / "pause"

    def make(scratch: Path, made: Path) -> None:
        layer = archive.Layer(scratch / "layer.tar", programs={"pause": program})
        layer.write()
        settings = archive.Settings(architecture(), entrypoint=("/pause",))
        archive.write(made, [layer.path], settings, [PAUSE_IMAGE])

    return cached("pause", binary.content_key([RECIPE], [program]), progress, make)
