"""Composition: topology, settings, the Faust host and apps, the embedded stack, the CLI."""
