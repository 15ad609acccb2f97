"""Shared foundations, which every other room may import: records, errors, files, JSON lines, weights and plug-ins."""
