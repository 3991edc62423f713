"""The demonstration: a fleet in one throw-away folder."""
