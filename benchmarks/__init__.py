"""Benchmarks on a real cluster. Each module is a command."""
