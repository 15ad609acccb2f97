"""Backend `vllm`: local weights that vLLM runs, in a process of its own for each base model.

`child` is that process, `engine` starts and asks it, and `backend` answers requests, also when an engine dies.
"""
