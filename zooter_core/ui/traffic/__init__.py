"""The page Traffic: what routing was worth, and one decision opened in full."""
