"""Many photos: find them, skip what is done, run the rest, report what is safely stored."""
