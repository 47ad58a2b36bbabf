"""LightningModules: one objective a file. A task holds one model and defines loss, metrics and step."""
