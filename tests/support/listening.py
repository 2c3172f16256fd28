"""TCP addresses at which processes of this machine listen, read from /proc."""

import ipaddress
from collections.abc import Iterable, Iterator
from pathlib import Path

_LISTENING = "0A"


def addresses(pids: Iterable[int]) -> set[str]:
    """Return the addresses at which these processes accept TCP connections."""
    inodes = {inode for pid in pids for inode in _sockets(pid)}
    return {address for address, inode in _listening() if inode in inodes}


def _sockets(pid: int) -> Iterator[str]:
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(handle.readlink())
        except OSError:
            continue  # closed since the directory was listed
        if target.startswith("socket:["):
            yield target.removeprefix("socket:[").removesuffix("]")


def _listening() -> Iterator[tuple[str, str]]:
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == _LISTENING:
                yield _readable(local.partition(":")[0]), inode


def _readable(address: str) -> str:
    """Return the readable form of a kernel address: four-byte words in reversed byte order."""
    words = [bytes.fromhex(address[at : at + 8])[::-1] for at in range(0, len(address), 8)]
    return str(ipaddress.ip_address(b"".join(words)))
