"""Builds one server out of its settings: the only place that knows every part by name."""
