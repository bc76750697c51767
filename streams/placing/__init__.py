"""What commands ask of placement: plans, queues, explanations, traces."""
