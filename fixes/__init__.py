"""What is wrong, and what to do about it: signatures, remedies, plans, diffs, apply, verify, journal."""
