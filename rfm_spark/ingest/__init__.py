"""Ingest: raw logs as typed rows, rejects with a reason, and daily facts."""
