"""Status of a cluster, as a table for readers and as JSON for programs."""

import json
from dataclasses import asdict, dataclass

READY, DEGRADED, DOWN = "ready", "degraded", "down"


@dataclass(frozen=True)
class ComponentStatus:
    """Status of one component; `pid` is None if it does not run."""

    name: str
    pid: int | None
    healthy: bool


@dataclass(frozen=True)
class Status:
    """Status of a cluster: down if nothing runs, ready if all components are healthy."""

    name: str
    driver: str
    server: str
    node: str
    node_ready: bool
    components: tuple[ComponentStatus, ...]

    @property
    def state(self) -> str:
        if self.node_ready and all(component.healthy for component in self.components):
            return READY
        runs = self.node_ready or any(component.pid for component in self.components)
        return DEGRADED if runs else DOWN

    def as_json(self) -> str:
        return json.dumps({"state": self.state, **asdict(self)}, indent=2)

    def as_table(self) -> str:
        lines = [
            f"cluster {self.name}: {self.state} ({self.driver})",
            f"  server  {self.server}",
            f"  node    {self.node}: {'ready' if self.node_ready else 'not ready'}",
        ]
        for component in self.components:
            runs = f"process {component.pid}" if component.pid else "not running"
            health = "healthy" if component.healthy else "unhealthy"
            lines.append(f"  {component.name:<24} {health:<10} {runs}")
        return "\n".join(lines)
