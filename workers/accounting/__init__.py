"""What becomes of the work of a worker, counted in bounded memory; for live and simulated runs."""
