"""Where copies may go, and where they go best."""
