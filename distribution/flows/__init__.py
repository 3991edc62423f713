"""One file a story: the steps of a duty, told from top to bottom."""
