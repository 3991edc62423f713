"""What can go wrong below: one base, split by what the caller can do about it."""


class StorageError(Exception):
    """Base of every error that storage raises."""


class NotFoundError(StorageError):
    """The object or row does not exist."""


class AlreadyExistsError(StorageError):
    """A create-once write found the name taken; nothing was changed."""


class PreconditionError(StorageError):
    """A compare-and-set lost: the object is not the one the caller read. Read again, decide again."""


class TooLargeError(StorageError):
    """The object is larger than the cap the caller gave."""


class UnavailableError(StorageError):
    """The store or database did not answer, or answered that it cannot now. Worth trying again later."""


class UnsuitableError(StorageError):
    """The store does not keep the promises publishing rests on (it ignores conditions)."""


class SchemaError(StorageError):
    """The database's schema is newer than this program, or not one of ours."""


class JournalBrokenError(StorageError):
    """The journal was edited, has a gap, or ends before its last head kept outside."""
