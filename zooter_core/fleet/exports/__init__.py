"""Exports in the cache folder: a fleet whose router and reward model have one runs them without PyTorch.

`zooter setup` makes them. An export is used only while the weights are those it was made from.
"""
