"""The Train page: scores, labels, a router, and its use, step by step."""
