"""Traffic, i.e. what was served and how good it was, in one private file; and learning from it.

`zooter serve --learn` writes it, reports read it, and a better router is trained on it.
"""
