"""Recordings with a label or a transcript each."""
