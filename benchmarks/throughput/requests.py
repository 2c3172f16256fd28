"""Requests to the apiserver by verb and resource, from its metrics."""

import re
from collections import Counter

_SAMPLE = re.compile(r"^apiserver_request_total\{(.*)\} (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
VERBS = {"POST": "create", "PUT": "update", "APPLY": "apply"}
RESOURCES = frozenset({"pods", "jobs", "taskruns", "events"})
"""Resources whose requests belong to runs; others are background."""
LEAST = 0.05
"""Requests per run below which a kind of request is background."""
_ENDLESS = frozenset({"WATCH", "CONNECT"})


def parse(page: str) -> Counter[str]:
    """Return the number of requests on runs and their Pods, such as `patch pods/status`."""
    counts: Counter[str] = Counter()
    for labels_text, value in _SAMPLE.findall(page):
        labels = dict(_LABEL.findall(labels_text))
        if labels["resource"] not in RESOURCES or labels["verb"] in _ENDLESS:
            continue
        verb = VERBS.get(labels["verb"], labels["verb"].lower())
        resource = "/".join(filter(None, (labels["resource"], labels.get("subresource"))))
        counts[f"{verb} {resource}"] += round(float(value))
    return counts


def per_run(before: Counter[str], after: Counter[str], runs: int) -> dict[str, float]:
    """Return the requests per run between two readings; those below LEAST are left out."""
    rates = {key: (after[key] - before[key]) / runs for key in after}
    return {key: round(rate, 2) for key, rate in sorted(rates.items()) if rate >= LEAST}
