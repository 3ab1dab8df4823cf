"""Files, HTTP, tables, HDF5, GDAL and the terminal, for all rooms.

In: bytes, addresses and what is to be said.
Out: whole files or none, and one-sentence errors.
Start reading at `atomic`, then `http`.
"""
