"""The node's address and the Pods' way to the API: one bridge and one rule.

The kubelet refuses a loopback address as the node's, so the bridge comes first and lends its own.
No kube-proxy runs: the one service that Pods need, the API's, is one redirection on this bridge.
"""

import json
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path

from tests.cluster import slot as slots
from tests.cluster.command import run
from tests.cluster.slot import API_SERVICE, Slot

IPTABLES = ("iptables", "--wait", "10", "--table", "nat")
LONGEST_DEFAULT = 7
"""Longest prefix of a default route: a VPN may write it as two halves."""


def redirection(slot: Slot) -> list[str]:
    """The rule's specification, after the chain's name."""
    rule = f"--in-interface {slot.handle} --destination {API_SERVICE}/32 --protocol tcp"
    return [*rule.split(), "--dport", "443", *_target(slot)]


def _target(slot: Slot) -> list[str]:
    return ["--jump", "REDIRECT", "--to-ports", str(slot.port("apiserver"))]


def exists(slot: Slot) -> bool:
    return Path("/sys/class/net", slot.handle).exists()


def is_unused(slot: Slot) -> bool:
    """Return whether the machine has nothing of the slot, and nobody uses its addresses."""
    return slots.is_unused(slot) and not foreign_addresses(slot)


def foreign_addresses(slot: Slot) -> list[str]:
    """Return the routes and addresses of other interfaces that overlap the slot's addresses."""
    routes = run(["ip", "-json", "-4", "route", "show", "table", "all"]).stdout
    addresses = run(["ip", "-json", "-4", "address"]).stdout
    used = (*_routes(routes), *_addresses(addresses))
    overlapping = (
        f"{network} on {interface}"
        for network, interface in used
        if interface != slot.handle and network.overlaps(slot.pod_cidr)
    )
    return sorted(set(overlapping))


def _routes(text: str) -> Iterator[tuple[IPv4Network, str]]:
    for route in json.loads(text or "[]"):
        if route["dst"] != "default":
            network = IPv4Network(route["dst"])
            if network.prefixlen > LONGEST_DEFAULT:
                yield network, route.get("dev", "no interface")


def _addresses(text: str) -> Iterator[tuple[IPv4Network, str]]:
    for interface in json.loads(text or "[]"):
        for address in interface.get("addr_info", []):
            local = f"{address['local']}/{address['prefixlen']}"
            yield IPv4Network(local, strict=False), interface["ifname"]


def _has_rule(slot: Slot) -> bool:
    return not run([*IPTABLES, "--check", "PREROUTING", *redirection(slot)], check=False).returncode


def rules_before(listed: str, slot: Slot) -> list[str]:
    """Return the rules before ours that may take the Pods' connections to the API.

    Args:
        listed: the chain as `iptables --list-rules` or `iptables-save` print it.
    """
    before: list[str] = []
    for line in listed.splitlines():
        words = line.split()
        if words[:1] != ["-A"]:
            continue
        if slot.handle in words and str(slot.port("apiserver")) in words:
            break
        if _may_match(words, slot):
            before.append(line)
    return before


def _may_match(words: list[str], slot: Slot) -> bool:
    """Return whether a rule may be for a Pod's connection to the API; only a sure no is one."""
    wanted = {"-i": slot.handle, "-p": "tcp", "--dport": "443"}
    for option, before, value in zip(words[1:], words, words[2:], strict=False):
        if before == "!":
            continue
        if option in wanted and value != wanted[option]:
            return False
        if option == "-d" and API_SERVICE not in IPv4Network(value):
            return False
    return True


def bring_up(slot: Slot) -> None:
    """Make what is missing of the bridge and the rule."""
    if not exists(slot):
        run(["ip", "link", "add", slot.handle, "type", "bridge"])
    address = f"{slot.gateway}/{slot.pod_cidr.prefixlen}"
    run(["ip", "address", "replace", address, "dev", slot.handle])
    run(["ip", "link", "set", slot.handle, "up"])
    chain = run([*IPTABLES, "--list-rules", "PREROUTING"]).stdout
    if not _has_rule(slot) or rules_before(chain, slot):
        _remove_rule(slot)
        # First: another cluster may have left a rule for this address and every interface.
        run([*IPTABLES, "--insert", "PREROUTING", "1", *redirection(slot)])


def take_down(slot: Slot) -> None:
    _remove_rule(slot)
    if exists(slot):
        run(["ip", "link", "delete", slot.handle])


def _remove_rule(slot: Slot) -> None:
    while _has_rule(slot):
        run([*IPTABLES, "--delete", "PREROUTING", *redirection(slot)])
