"""Results for other programs: one file per format, chosen frames, whole files.

In: frames that were chosen, and their photos.
Out: CSV, GeoJSON, GeoPackage, GCP, RPC, GeoTIFF, STAC, SQL, packages.
Start reading at `run`; each of `formats` is one format, or several that differ in little.
"""
