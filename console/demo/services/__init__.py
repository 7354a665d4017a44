"""The services of the demo: small, real, and each ill in one documented way. They are copied and run as they stand."""
