"""Traces of clusters, and what algorithms make of them."""
