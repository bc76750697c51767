"""The worker in a simulator: scenarios, arrivals, service times, reports, the optimum. Pure."""
