"""An application in a package, made by a factory: the import path alone does not name the framework."""
