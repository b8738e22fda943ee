"""What indexes share: libraries of vectors."""
