"""The network of a cluster: a bridge and a redirection rule.

The kubelet refuses a loopback address for its node, so the node has the address of the bridge.
There is no kube-proxy; the rule redirects the API's Service, the only one that Pods need.
"""

import json
import re
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path

from tests.cluster import slot as slots
from tests.cluster.command import run
from tests.cluster.slot import API_SERVICE, Slot

IPTABLES = ("iptables", "--wait", "10", "--table", "nat")
RESOLVERS = Path("/etc/resolv.conf")
LONGEST_DEFAULT = 7
"""Longest prefix of a default route; a VPN may split it into two halves."""


def redirection(slot: Slot) -> list[str]:
    """Return the arguments of the rule after the chain's name."""
    rule = f"--in-interface {slot.handle} --destination {API_SERVICE}/32 --protocol tcp"
    return [*rule.split(), "--dport", "443", *_target(slot)]


def _target(slot: Slot) -> list[str]:
    return ["--jump", "REDIRECT", "--to-ports", str(slot.port("apiserver"))]


def exists(slot: Slot) -> bool:
    return Path("/sys/class/net", slot.handle).exists()


def is_unused(slot: Slot) -> bool:
    """Return whether the machine uses neither the slot nor its addresses."""
    return slots.is_unused(slot) and not foreign_addresses(slot)


def foreign_addresses(slot: Slot) -> list[str]:
    """Return what overlaps the slot's addresses: routes, other interfaces, name servers.

    A name server is reached by the default route; the route of a bridge would take precedence.
    """
    routes = run(["ip", "-json", "-4", "route", "show", "table", "all"]).stdout
    addresses = run(["ip", "-json", "-4", "address"]).stdout
    used = (*_routes(routes), *_addresses(addresses), *_name_servers())
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


def _name_servers() -> Iterator[tuple[IPv4Network, str]]:
    text = RESOLVERS.read_text() if RESOLVERS.exists() else ""
    for address in re.findall(r"^nameserver\s+([0-9.]+)\s*$", text, re.MULTILINE):
        yield IPv4Network(address), f"the way to a name server ({RESOLVERS})"


def _has_rule(slot: Slot) -> bool:
    return not run([*IPTABLES, "--check", "PREROUTING", *redirection(slot)], check=False).returncode


def rules_before(listed: str, slot: Slot) -> list[str]:
    """Return the rules before ours that may match the Pods' connections to the API.

    Args:
        listed: the chain as `iptables --list-rules` or `iptables-save` prints it.
        slot: the cluster's slot.
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
    """Return whether a rule may match a Pod's connection to the API; True in case of doubt."""
    expected = {"-i": slot.handle, "-p": "tcp", "--dport": "443"}
    for option, before, value in zip(words[1:], words, words[2:], strict=False):
        if before == "!":
            continue
        if option in expected and value != expected[option]:
            return False
        if option == "-d" and API_SERVICE not in IPv4Network(value):
            return False
    return True


def bring_up(slot: Slot) -> None:
    """Create the bridge and the rule unless they exist."""
    if not exists(slot):
        run(["ip", "link", "add", slot.handle, "type", "bridge"])
    address = f"{slot.gateway}/{slot.pod_cidr.prefixlen}"
    run(["ip", "address", "replace", address, "dev", slot.handle])
    run(["ip", "link", "set", slot.handle, "up"])
    chain = run([*IPTABLES, "--list-rules", "PREROUTING"]).stdout
    if not _has_rule(slot) or rules_before(chain, slot):
        _remove_rule(slot)
        # At the first position, because another cluster may have left a rule for all interfaces.
        run([*IPTABLES, "--insert", "PREROUTING", "1", *redirection(slot)])


def take_down(slot: Slot) -> None:
    _remove_rule(slot)
    if exists(slot):
        run(["ip", "link", "delete", slot.handle])


def _remove_rule(slot: Slot) -> None:
    while _has_rule(slot):
        run([*IPTABLES, "--delete", "PREROUTING", *redirection(slot)])
