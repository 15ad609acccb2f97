"""The Chat page: a conversation, how a turn is drawn, why its answer was chosen."""
