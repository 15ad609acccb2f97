"""The Lab page: labels, a sweep over beta, and distilling a router, step by step."""
