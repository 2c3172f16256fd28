"""Engines: the interface to container runtimes, its implementations, and the reconcile loop."""
