"""Where a photo looks: prepare, propose, refine, verify, accept."""
