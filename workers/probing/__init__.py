"""What stands behind `workers.probe`."""
