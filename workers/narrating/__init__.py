"""Diagnoses told in prose by a language model: asked in a process of its own, never on the way."""
