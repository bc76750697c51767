"""The worker: one node's task queue, its models, and what becomes of every task."""
