"""Slots: numbers that keep the resources of a machine's clusters apart.

Bridges, addresses, ports and control groups belong to the machine. Each cluster derives its own
from its slot, so that no two clusters conflict. The slot is chosen under a lock, recorded in the
cluster's folder, and released when the folder is removed.
"""

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from tests.cluster.error import ClusterError
from tests.cluster.lock import held
from tests.cluster.place import NAME, Place

SLOTS = 12
RANGES: tuple[Callable[[int], str], ...] = (
    lambda number: f"10.{244 + number}.0.0/16",
    lambda number: f"100.{64 + number}.0.0/16",
    lambda number: f"198.18.{16 * number}.0/20",
)
"""Address ranges of Pods, by the slot's number; later ones are for machines that use the first."""
FIRST_PORT = 26400
PORTS_PER_SLOT = 20
SPARE_NODES = (1, 2, 3, 4)
"""Numbers of the spare nodes; the node of the cluster itself has number 0."""
PORTS = (
    *("apiserver", "etcd", "etcd-peer", "kubelet", "kubelet-health", "controllers", "scheduler"),
    *(f"{server}-{number}" for number in SPARE_NODES for server in ("kubelet", "kubelet-health")),
)

SERVICE_CIDR = IPv4Network("10.96.0.0/16")
API_SERVICE = IPv4Address("10.96.0.1")


@dataclass(frozen=True)
class Slot:
    """Resources of the machine that are reserved for one cluster."""

    number: int
    range: int = 0
    """Index in RANGES of the Pods' addresses."""

    @property
    def handle(self) -> str:
        """Common name of the bridge, the control group and the CNI network."""
        return f"taskruns{self.number}"

    @property
    def pod_cidr(self) -> IPv4Network:
        return IPv4Network(RANGES[self.range](self.number))

    @property
    def gateway(self) -> IPv4Address:
        """Address of the bridge and the node, where the apiserver and the kubelet listen."""
        return self.pod_cidr[1]

    def port(self, server: str) -> int:
        return FIRST_PORT + self.number * PORTS_PER_SLOT + PORTS.index(server)

    @property
    def server(self) -> str:
        return f"https://{self.gateway}:{self.port('apiserver')}"


def recorded(place: Place) -> Slot | None:
    """Return the recorded slot of a cluster, or None."""
    try:
        number, *ranges = map(int, place.slot.read_text().split())
    except (FileNotFoundError, ValueError):
        return None
    return Slot(number, *ranges)


def allocate(place: Place, is_free: Callable[[Slot], bool]) -> Slot:
    """Return the recorded slot of the cluster, or record the first free one."""
    root = place.folder.parent
    with held(root / ".slots.lock", "the slots"):
        mine = recorded(place)
        if mine:
            return mine
        taken = _taken(root)
        slot = next((s for s in _candidates() if s.number not in taken and is_free(s)), None)
        if slot is None:
            names = ", ".join(sorted(taken.values())) or "none of this user"
            ranges = ", ".join(describe(0) for describe in RANGES)
            raise ClusterError(
                f"all {SLOTS} slots are in use ({names}): take a cluster down first. Addresses and "
                "bridges of other programs count too (`ip route`, `ip link`). The Pods' addresses "
                f"would be from {ranges} or the ranges after them"
            )
        place.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        place.slot.write_text(f"{slot.number} {slot.range}\n")
        return slot


def _candidates() -> Iterator[Slot]:
    for choice in range(len(RANGES)):
        yield from (Slot(number, choice) for number in range(SLOTS))


def _taken(root: Path) -> dict[int, str]:
    folders = (each for each in root.iterdir() if NAME.fullmatch(each.name))
    slots = ((recorded(Place(folder.name, folder)), folder.name) for folder in folders)
    return {slot.number: name for slot, name in slots if slot}


def is_unused(slot: Slot) -> bool:
    """Return whether the machine does not use the slot's bridge and ports.

    Clusters of other users have no folders here, so the machine itself is checked.
    """
    if Path("/sys/class/net", slot.handle).exists():
        return False
    return all(_port_is_free(slot.port(server)) for server in PORTS)


def _port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True
