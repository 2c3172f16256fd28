"""Tar archives in which a daemon takes and returns the files of a container. Pure."""

import io
import tarfile
from asyncio import IncompleteReadError
from collections.abc import Iterable
from typing import Protocol

_WRITABLE_FILE = 0o666
_WRITABLE_FOLDER = 0o777
_NEW_FILE = 0o644
_PIECE = 1 << 16
_EXTENSIONS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
"""Types of tar entries that only extend the header of the next entry."""


class Stream(Protocol):
    """Byte stream of a response, such as aiohttp's StreamReader."""

    async def readexactly(self, n: int) -> bytes:
        """Read exactly `n` bytes. Raises IncompleteReadError if there are fewer."""


def empty_file(path: str) -> bytes:
    """Return a tar archive with an empty file that every user may write.

    The daemon creates the missing folders of its path.
    """
    return _archive([_entry(path, tarfile.REGTYPE, _WRITABLE_FILE)])


def new_file(path: str) -> bytes:
    """Return a tar archive with an empty file that every user may read."""
    return _archive([_entry(path, tarfile.REGTYPE, _NEW_FILE)])


def open_folders(paths: Iterable[str]) -> bytes:
    """Return a tar archive with folders that every user may write into."""
    return _archive(_entry(path, tarfile.DIRTYPE, _WRITABLE_FOLDER) for path in paths)


async def end_of_file(archive: Stream, limit: int) -> bytes:
    """Return the last `limit` bytes of the first file in a tar archive.

    A long file is never held in memory as a whole. The result is empty if the first entry is not a
    regular file, or there is no entry.
    """
    try:
        entry = await _next_entry(archive)
        while entry.type in _EXTENSIONS:
            await archive.readexactly(-(-entry.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE)
            entry = await _next_entry(archive)
    except (tarfile.TarError, IncompleteReadError):
        return b""
    remaining, end = entry.size if entry.isreg() else 0, b""
    while remaining:
        piece = await archive.readexactly(min(remaining, _PIECE))
        remaining -= len(piece)
        end = (end + piece)[-limit:]
    return end


async def _next_entry(archive: Stream) -> tarfile.TarInfo:
    block = await archive.readexactly(tarfile.BLOCKSIZE)
    return tarfile.TarInfo.frombuf(block, tarfile.ENCODING, "surrogateescape")


def _entry(path: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.type, entry.mode = kind, mode
    return entry


def _archive(entries: Iterable[tarfile.TarInfo]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for entry in entries:
            archive.addfile(entry)
    return buffer.getvalue()
