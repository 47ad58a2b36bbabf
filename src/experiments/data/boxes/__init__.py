"""Images with boxes, and perhaps masks, around their objects."""
