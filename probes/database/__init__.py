"""Asks database servers who holds which connections: in sessions that can only read, where that was asked for."""
