"""The drivers that run a cluster, and the choice between them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from tests.cluster import release
from tests.cluster.error import ClusterError
from tests.cluster.image_build import ImageBuild
from tests.cluster.kind import KindDriver
from tests.cluster.local import LocalDriver
from tests.cluster.place import Place
from tests.cluster.progress import Progress
from tests.cluster.python_base import PythonBase
from tests.cluster.status import Status
from tests.cluster.tuning import Tuning

AUTO = "auto"
DRIVERS: Mapping[str, type[LocalDriver] | type[KindDriver]] = {
    LocalDriver.name: LocalDriver,
    KindDriver.name: KindDriver,
}


class Driver(Protocol):
    """One way to run a cluster."""

    @property
    def server(self) -> str: ...

    @property
    def node_name(self) -> str: ...

    def up(self, progress: Progress) -> None: ...

    def down(self, progress: Progress) -> None: ...

    def status(self) -> Status: ...

    def start(self, name: str, progress: Progress) -> None: ...

    def stop(self, name: str, grace: float) -> None: ...

    def add_node(self, number: int, progress: Progress) -> None: ...

    def power_off(self, number: int) -> None: ...

    def simulate_node(self, stages: str, progress: Progress) -> None: ...

    def tune(self, tuning: Tuning, progress: Progress) -> None: ...

    def remove_node(self, number: int) -> None: ...

    def load_image(self, archive: Path) -> None: ...

    def load_python(self, base: PythonBase, progress: Progress) -> str: ...

    def build_image(self, build: ImageBuild, progress: Progress) -> str: ...


def of(place: Place, requested: str) -> Driver:
    """Return the cluster's recorded driver; for a new cluster, the requested or default driver."""
    recorded = place.driver.read_text().strip() if place.driver.exists() else ""
    if recorded and requested not in (AUTO, recorded):
        raise ClusterError(
            f"cluster {place.name!r} was created by the driver {recorded!r}: take it down first, "
            "or choose another name"
        )
    name = recorded or (requested if requested != AUTO else likely())
    if name not in DRIVERS:
        raise ClusterError(
            f"there is no driver {name!r}: choose {AUTO} or one of {', '.join(DRIVERS)}"
        )
    return DRIVERS[name](place)


def likely() -> str:
    """Return kind if its prerequisites are available, else local; the check takes some seconds."""
    if release.requested() or KindDriver.obstacles():
        return LocalDriver.name
    return KindDriver.name


def record(place: Place, driver: Driver) -> None:
    """Record the driver, so that later commands use it by default."""
    name = next(name for name, kind in DRIVERS.items() if isinstance(driver, kind))
    place.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    place.driver.write_text(f"{name}\n")
