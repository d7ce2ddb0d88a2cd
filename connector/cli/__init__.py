"""The commands of `luma-to-parquet`, one function each; the docstrings are their help."""
