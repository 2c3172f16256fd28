"""Leader election by a Lease: when to write it, and for how long this process leads. Pure.

The rules are those of client-go. Times are ticks: seconds of this process's monotonic clock. They
are never compared with the times in the Lease, which other machines wrote.

- The Lease may be taken if it has no holder or this process holds it. It may also be taken if it
  has not changed for the duration that its holder wrote, counted from the moment at which this
  process first read that version.
- A leader leads until the renew deadline, counted from the moment before it sent its last
  successful request. The lease duration is longer, and others count it from a later moment.
  Therefore a leader that cannot renew stops before another process may lead.

Correctness does not depend on this (design.md, Leader election).
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import Any

from taskruns.core.unstructured import Object, mapping, number, text

_VERSION = "coordination.k8s.io/v1"
_MICRO_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True, slots=True)
class Timing:
    """Settings of the election, in seconds: retry period < renew deadline < lease duration."""

    lease_duration: float = 10.0
    """Time after which other processes may take a Lease that is not renewed."""
    renew_deadline: float = 7.0
    """Time after which a leader that could not renew stops."""
    retry_period: float = 1.0
    """Time between two requests, of the leader to renew and of a standby to read."""

    @property
    def request_timeout(self) -> float:
        """Time limit of one try; half the renew deadline, so that a second try is possible."""
        return self.renew_deadline / 2


class Elector:
    """What one process knows about the Lease, and whether it leads."""

    def __init__(self, identity: str, namespace: str, name: str, timing: Timing) -> None:
        self._identity = identity
        self._metadata = {"namespace": namespace, "name": name}
        self._timing = timing
        self._lease: Object | None = None
        self._holder = ""
        self._expires_at = 0.0
        """Ticks from which the Lease may be taken from its holder."""
        self._leads_until: float | None = None
        self.is_current = False
        """Whether the Lease is known to be as this process wrote it, so that it need not be read
        before it is renewed."""

    @property
    def holder(self) -> str:
        """Identity of the process that holds the Lease, or an empty string."""
        return self._holder

    @property
    def term(self) -> tuple[str, int | None]:
        """Identity of the term in the Lease; it changes whenever the holder has changed."""
        spec = mapping(mapping(self._lease).get("spec"))
        return text(spec.get("acquireTime")), number(spec.get("leaseTransitions"))

    def leads(self, ticks: float) -> bool:
        """Return whether this process leads at this moment."""
        return self._leads_until is not None and ticks < self._leads_until

    def observe(self, lease: Object | None, ticks: float) -> None:
        """Note the Lease as it was read, or None if it does not exist.

        A Lease that was deleted while another process held it counts as held until it expires.
        """
        self.is_current = False
        if lease is not None and _version(lease) != _version(self._lease):
            spec = mapping(lease.get("spec"))
            self._holder = text(spec.get("holderIdentity"))
            duration = number(spec.get("leaseDurationSeconds")) or self._timing.lease_duration
            self._expires_at = ticks + duration
        if lease is not None and self._holder != self._identity:
            self._leads_until = None
        self._lease = lease

    def may_write(self, ticks: float) -> bool:
        """Return whether this process may renew or take the Lease, as it was last observed."""
        return self._holder in ("", self._identity) or ticks >= self._expires_at

    def held_lease(self, now: datetime) -> Object:
        """Return the Lease to write, with this process as its holder."""
        spec = dict(mapping(mapping(self._lease).get("spec")))
        renewed = now.astimezone(UTC).strftime(_MICRO_TIME)
        if self._lease is None:
            spec = {"acquireTime": renewed, "leaseTransitions": 0}
        elif self._holder != self._identity:
            transitions = number(spec.get("leaseTransitions")) or 0
            spec |= {"acquireTime": renewed, "leaseTransitions": transitions + 1}
        held = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": ceil(self._timing.lease_duration),
            "renewTime": renewed,
        }
        return self._with_spec(spec | held)

    def released_lease(self, now: datetime) -> Object:
        """Return the Lease to write, without a holder, so that it can be taken at once."""
        spec = dict(mapping(mapping(self._lease).get("spec")))
        spec.pop("holderIdentity", None)
        renewed = now.astimezone(UTC).strftime(_MICRO_TIME)
        return self._with_spec({**spec, "leaseDurationSeconds": 1, "renewTime": renewed})

    def wrote(self, lease: Object, sent: float) -> None:
        """Note that the apiserver has stored the Lease with this process as its holder.

        Args:
            lease: the Lease, as the response has it.
            sent: ticks before the request was sent.
        """
        self.observe(lease, sent)
        self.is_current = True
        self._leads_until = sent + self._timing.renew_deadline

    def resign(self) -> None:
        """Stop leading at once."""
        self._leads_until = None
        self.is_current = False

    def patience(self, ticks: float) -> float:
        """Return the time limit of a try that begins now; a leader's ends with its leadership."""
        limit = self._timing.request_timeout
        if self._leads_until is not None and self.leads(ticks):
            return min(limit, self._leads_until - ticks)
        return limit

    def pause(self, ticks: float) -> float:
        """Return the time until the next try, in seconds.

        It is shorter than the retry period if this process stops leading, or the Lease expires,
        before that.
        """
        next_event = self._expires_at if self._leads_until is None else self._leads_until
        left = next_event - ticks
        period = self._timing.retry_period
        return left if 0 < left < period else period

    def _with_spec(self, spec: dict[str, Any]) -> Object:
        metadata = dict(mapping(mapping(self._lease).get("metadata")) or self._metadata)
        metadata.pop("managedFields", None)
        return {"apiVersion": _VERSION, "kind": "Lease", "metadata": metadata, "spec": spec}


def _version(lease: Object | None) -> str:
    return text(mapping(mapping(lease).get("metadata")).get("resourceVersion"))
