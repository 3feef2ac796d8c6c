"""Write and read runs as Parquet: writer, manifest, reader, importers. Knows only core and errors."""
