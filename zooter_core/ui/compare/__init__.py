"""The Compare page: comparisons of one query, and votes."""
