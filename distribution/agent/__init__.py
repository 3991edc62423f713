"""The host's side: enrolls, verifies, installs, supervises. It loads nothing of the server."""
