"""The controller process: kopf watches, the work queue schedules, `engines.reconcile` reconciles.

This package makes no decision about a run. Event handlers update the cache and enqueue the run's
key. Only the work queue calls reconcile.
"""
