"""select: which services answer an application."""
