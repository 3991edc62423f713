"""The schema's history: a file a revision, each spelled out by itself, run by `storage.database.migrate`."""
