"""The node's address and the Pods' way to the API: one bridge and one rule.

The kubelet refuses a loopback address as the node's, so the bridge comes first and lends its own.
No kube-proxy runs: the one service that Pods need, the API's, is one redirection on this bridge.
"""

from pathlib import Path

from tests.cluster.command import run
from tests.cluster.slot import API_SERVICE, Slot

IPTABLES = ("iptables", "--wait", "10", "--table", "nat")


def redirection(slot: Slot) -> list[str]:
    """The rule's specification, after the chain's name."""
    rule = f"--in-interface {slot.handle} --destination {API_SERVICE}/32 --protocol tcp"
    return [*rule.split(), "--dport", "443", *_target(slot)]


def _target(slot: Slot) -> list[str]:
    return ["--jump", "REDIRECT", "--to-ports", str(slot.port("apiserver"))]


def exists(slot: Slot) -> bool:
    return Path("/sys/class/net", slot.handle).exists()


def _has_rule(slot: Slot) -> bool:
    return not run([*IPTABLES, "--check", "PREROUTING", *redirection(slot)], check=False).returncode


def bring_up(slot: Slot) -> None:
    """Make what is missing of the bridge and the rule."""
    if not exists(slot):
        run(["ip", "link", "add", slot.handle, "type", "bridge"])
    address = f"{slot.gateway}/{slot.pod_cidr.prefixlen}"
    run(["ip", "address", "replace", address, "dev", slot.handle])
    run(["ip", "link", "set", slot.handle, "up"])
    if not _has_rule(slot):
        run([*IPTABLES, "--append", "PREROUTING", *redirection(slot)])


def take_down(slot: Slot) -> None:
    while _has_rule(slot):
        run([*IPTABLES, "--delete", "PREROUTING", *redirection(slot)])
    if exists(slot):
        run(["ip", "link", "delete", slot.handle])
