"""The index of a map: light peaks and the light around them, and how photos are looked up."""
