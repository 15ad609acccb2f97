"""Zooter: reward-guided routing between language models (ZOOTER, arXiv 2311.08692)."""

__version__ = "0.1.0"
