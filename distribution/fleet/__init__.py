"""What is remembered of agents, channels and operators."""
