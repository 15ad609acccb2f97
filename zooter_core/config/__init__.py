"""fleet.toml: `fleet` reads and writes it; the other modules define the keys of its tables.

`tables` makes tables dataclasses that pydantic checks, and resolves paths. `fingerprint` hashes what a run depends on.
"""
