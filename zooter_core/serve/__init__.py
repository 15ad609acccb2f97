"""The OpenAI-compatible endpoint. The only room that knows FastAPI.

A request passes through `app` (routes) -> `access` (key, body) -> `reply` (from its place to its last event) -> `chat`
(who is asked, in turn or together) -> `choice` (gate, router, session) -> `targets` (who answers).
"""
