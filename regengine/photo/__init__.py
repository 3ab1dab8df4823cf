"""Photos as they are archived: pixels, headers, lenses, records, the archive itself.

In: paths, names of photos, tables that tell of them.
Out: a `Frame` with pixels on demand, and what is known of it.
Start reading at `frame`, then `image`; the archive's client is in `archive`.
"""
