"""Process many photos: find them, reuse stored results, run the rest, and report what is stored."""
