"""What a run did, in figures and on one page."""
