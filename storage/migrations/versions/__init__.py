"""One file a revision, `v<number>_<what>.py`. A revision that was released is never edited again."""
