"""Untrusted Python functions, tested in a sandbox of the operating system. `runner.run` is the way in.

Two processes work on a run. The *worker* executes the untrusted code. The *checker* executes the trusted check, which
calls the function of the worker by message and gets plain values back (`values`). The verdict is the checker's: the
worker never sees the check, and can influence it only by what its function returns, which is what a check judges.

Both processes shut themselves in before they start (`namespaces`, `mounts`, `system_calls`, and resource limits in
`process`). There are no guards inside the interpreter: Python code can undo them.
"""
