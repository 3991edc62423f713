"""The operators' listener: a JSON API for people and pipelines, health, metrics."""
