"""The quartermaster command."""
