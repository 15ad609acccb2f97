"""The Compare page: comparisons of one query, lists of queries, votes and differences."""
