"""Index a map's light peaks and the light around them, for blind searches."""
