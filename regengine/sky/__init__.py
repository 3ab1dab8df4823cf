"""Stars, satellites and lenses of photos of the sky.

In: photos, a star catalogue, element sets of satellites.
Out: attitudes, lens profiles, named streaks.
Start reading at `stars.solve`, `satellites.photo`.
"""
