"""Objects in an S3-compatible store: the only place that knows its client library."""
