"""remedy: what is done about findings, whether it helped, and what is undone."""
