"""The metrics and labels that a PromQL expression uses, by Prometheus' own grammar."""

from collections.abc import Iterator

import promql_parser

GRAFANAS = {"$__rate_interval": "5m", "$__range": "1h", "$job": ".+"}
"""Grafana's variables in the dashboard, with one possible value of each."""


def filled(expression: str) -> str:
    """Return the expression as Grafana would send it."""
    for variable, value in GRAFANAS.items():
        expression = expression.replace(variable, value)
    return expression


def selectors(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Yield each metric of the expression with the labels of its matchers.

    Raises:
        ValueError: the expression is not valid PromQL.
    """
    metrics: list[tuple[str, set[str]]] = []

    def visit(node: promql_parser.Expr) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            metrics.append((node.name or "", {matcher.name for matcher in node.matchers.matchers}))
        return True

    promql_parser.walk(promql_parser.parse(expression), visit)
    yield from metrics


def groupings(expression: str) -> set[str]:
    """Return the labels by which the expression aggregates."""
    labels: set[str] = set()

    def visit(node: promql_parser.Expr) -> bool:
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            labels.update(node.modifier.labels)
        return True

    promql_parser.walk(promql_parser.parse(expression), visit)
    return labels
