"""Runs compared: records in, tables, charts, statistics and a report out."""
