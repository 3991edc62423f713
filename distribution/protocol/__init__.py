"""OpAMP as values: bytes to messages, messages to turns."""
