"""The controller's process: kopf watches, a queue decides when, `engines.reconcile` does the work.

Nothing here decides about a run. Handlers take what the watch says into the cache and put the
run's key on the queue; the queue, and nothing else, calls reconcile.
"""
