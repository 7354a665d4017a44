"""Measurements of fastops beside a peer: run by ``make bench``, never part of the tests."""
