"""The Open Agent Management Protocol."""
