"""The Lab page: labels, a sweep over beta and a router distilled, by hand."""
