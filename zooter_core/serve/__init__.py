"""The OpenAI-compatible endpoint. The only room that knows FastAPI.

A request passes through `app` (routes) -> `server` (key, body, place) -> `bodies` (what was sent) -> `choice` (gate,
router, session) -> `chat` (who is asked, in turn or together) -> `targets` (who answers) -> `reply` (back to the
client, for as long as it is there).
"""
