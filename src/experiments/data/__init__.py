"""Datasets as LightningDataModules: one dataset, or family of one format, a file."""
