"""The Train page: scores, how they become labels, a router, and its use."""
