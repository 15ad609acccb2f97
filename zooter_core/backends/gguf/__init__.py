"""Backend `gguf`: models in GGUF files, run by llama.cpp (package xllamacpp) in a process of its own.

`header` reads a file's metadata, `adapters` writes LoRA adapters as GGUF, `engine` starts and asks the process,
`answer` generates one response, and `backend` puts them together. `auto` uses this backend or `transformers`.
"""
