"""Datasets as LightningDataModules: a folder a kind, one dataset or family of one format a file."""
