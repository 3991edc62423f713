"""Everything that signs: the certificate authority, credentials, TUF roles."""
