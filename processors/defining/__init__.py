"""define: metrics that are computed by expressions and plug-ins."""
