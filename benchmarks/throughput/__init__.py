"""Throughput and latency of taskruns beside bare Pods and Jobs, in one run on one cluster."""
