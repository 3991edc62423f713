"""The publisher's side: holds its own key, signs its own digests."""
