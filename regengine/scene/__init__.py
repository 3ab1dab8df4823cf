"""What a photograph shows: features, clustering, models, and where the Sun was."""
