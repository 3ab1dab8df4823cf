"""Compare lightning in registered photos with orbital lightning instruments."""
