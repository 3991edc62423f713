"""The three listeners: parse, call a flow, render."""
