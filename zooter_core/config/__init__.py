"""fleet.toml. `fleet` reads and writes it; a module describes the keys of each table.

`tables` makes a table a dataclass that pydantic checks and resolves paths, and `fingerprint` hashes what shapes a run.
"""
