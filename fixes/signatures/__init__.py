"""The catalogue of failures, one file each; the docstring is the documentation page."""
