"""Bytes, rows and the journal; knows no agent, no certificate, no package."""
