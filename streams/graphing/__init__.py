"""Graphs of applications as people meet them: read from files, checked, drawn."""
