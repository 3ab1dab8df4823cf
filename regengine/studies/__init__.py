"""What follows from many registered photos: brightness, lightning, photos to take.

In: frames of stores or catalogues, maps, flashes, element sets.
Out: tables and rasters with their uncertainties.
Start reading at `radiometry.run`, `lightning.cross_reference`, `tasking.plan`.
"""
