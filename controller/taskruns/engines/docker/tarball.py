"""What is put into a container before it starts, as the tar archives that a daemon takes. Pure."""

import io
import tarfile
from collections.abc import Iterable

_FILE_FOR_ANYBODY = 0o666
_FOLDER_FOR_ANYBODY = 0o777


def empty_file(path: str) -> bytes:
    """Return an archive with an empty file that anybody may write; its folders come with it."""
    return _archive([_entry(path, tarfile.REGTYPE, _FILE_FOR_ANYBODY)])


def open_folders(paths: Iterable[str]) -> bytes:
    """Return an archive with folders that anybody may write into."""
    return _archive(_entry(path, tarfile.DIRTYPE, _FOLDER_FOR_ANYBODY) for path in paths)


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
