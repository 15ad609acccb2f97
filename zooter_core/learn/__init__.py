"""Traffic, and what is learned from it: what was served and how good it was, in one private file.

`zooter serve --learn` fills it. Reports read it, and a better router is trained on it.
"""
