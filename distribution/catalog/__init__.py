"""The signed catalogue: TUF metadata over the object store."""
