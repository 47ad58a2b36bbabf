"""What datasets of several kinds share: loaders, sampling, splits, published files."""
