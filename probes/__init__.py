"""What is running: targets and their measurements. Nothing in here judges."""
