"""Mounts below a folder, which must be removed before the folder."""

import ctypes
import os
from pathlib import Path

from tests.cluster.error import ClusterError

MOUNTS = Path("/proc/self/mountinfo")
DETACH = 2  # MNT_DETACH: unmount now, and clean up when the last user has closed it
MOUNT_POINT_FIELD = 4


def below(folder: Path, mountinfo: str) -> list[str]:
    """Return the mount points at or below a folder, the latest first, for unmounting."""
    points = (line.split(" ")[MOUNT_POINT_FIELD] for line in mountinfo.splitlines())
    plain = [point.encode().decode("unicode_escape") for point in points]
    return [p for p in reversed(plain) if p == str(folder) or p.startswith(f"{folder}/")]


def unmount_below(folder: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for point in below(folder, MOUNTS.read_text()):
        if libc.umount2(os.fsencode(point), DETACH):
            raise ClusterError(f"cannot unmount {point}: {os.strerror(ctypes.get_errno())}")
    if left := below(folder, MOUNTS.read_text()):
        raise ClusterError(f"still mounted below {folder}: {', '.join(left)}; unmount these first")
