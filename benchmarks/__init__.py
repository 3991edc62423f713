"""Measurements of what is on every message's path, and of what a disk makes us wait for."""
