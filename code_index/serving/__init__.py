"""Serving: how a program of this project listens, and whom it answers."""
