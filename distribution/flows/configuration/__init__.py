"""The stories of remote configuration: written and judged, decided for each agent, made ready, compared."""
