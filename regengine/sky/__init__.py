"""Stars, satellites and lenses, and detections on photos.

In: photos, a star catalogue, element sets of satellites.
Out: attitudes, lens profiles, named streaks, lists of detections.
Start reading at `stars.solve`, `satellites.photo`, `detection`.
"""
