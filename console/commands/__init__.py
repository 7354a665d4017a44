"""The commands, one file each: ``run`` returns the exit status."""
