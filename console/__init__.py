"""The composition root: command line, configuration, session and the Textual App."""

__version__ = "0.1.0"
