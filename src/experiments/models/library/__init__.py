"""Networks of torchvision, timm and transformers as chains of named stages."""
