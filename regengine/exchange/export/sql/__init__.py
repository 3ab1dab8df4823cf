"""What database servers are told of photos, and the dialects that it is told in."""
