"""Kubernetes: manifests, what became of them, and the one door to its API."""
