"""fleet.toml. `fleet` reads and writes it; other modules describe the keys of its tables.

`tables` makes a table a dataclass that pydantic checks, and resolves paths; `fingerprint` hashes what a run depends on.
"""
