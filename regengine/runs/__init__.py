"""Many photos: find them, reuse stored results, run the rest, report what is stored.

In: paths, options, a store of an earlier run.
Out: a store, NDJSON lines, overlays; nothing lost when killed.
Start reading at `register`, then `pipeline`, which takes one photo.
"""
