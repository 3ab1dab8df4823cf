"""The index of a map: figures of towns and the light around them, and how photos are looked up."""
