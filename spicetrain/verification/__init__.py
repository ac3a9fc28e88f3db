"""What both verifications share: pieces of a long simulation, limits."""
