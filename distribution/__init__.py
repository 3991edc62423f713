"""The OpAMP distribution service and its agent."""
