"""The Models page: what answers here, where it runs, and how to add more."""
