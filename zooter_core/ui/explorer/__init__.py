"""The Explorer page: what the router has learned, and how it routes a query while you type."""
