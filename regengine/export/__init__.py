"""Results for other programs: one file per format, chosen frames, whole files.

In: frames that were chosen, and their photos.
Out: CSV, GeoJSON, GeoPackage, GCP, RPC, GeoTIFF, STAC, SQL, packages.
Start reading at `run`, then `format`; each of `formats` is one format.
"""
