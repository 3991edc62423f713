"""Values and pure decisions about packages, offers and agents."""
