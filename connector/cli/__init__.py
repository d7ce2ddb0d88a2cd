"""The commands of `luma-to-parquet`: a function each, whose docstring is its help."""
