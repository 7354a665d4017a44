"""The engines that run services, one folder each."""
