"""The Explorer page: what the router has learned, and what it thinks while one types."""
