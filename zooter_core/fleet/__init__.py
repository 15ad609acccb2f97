"""A fleet at work: its models and router loaded, queries routed, responses streamed and ranked."""
