"""The Compare page: one query or a list of them, answered by several candidates, ranked, voted on."""
