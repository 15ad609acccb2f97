"""Runs a fleet: loads its models and router, routes queries, and streams and ranks responses."""
