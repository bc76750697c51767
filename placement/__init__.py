"""Where models run: filters, scores, the planner, and the actuators that carry it out."""
