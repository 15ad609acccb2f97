"""The Chat page: conversations, how a turn is drawn, and why a model was chosen."""
