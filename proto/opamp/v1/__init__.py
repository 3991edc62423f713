"""OpAMP 0.20 messages, generated from the definitions beside this file."""
