"""Stores the endpoint's traffic (requests, answers and rewards) in one private file, and learns from it.

`zooter serve --learn` writes the file, reports read it, and `zooter learn` trains better routers on it.
"""
