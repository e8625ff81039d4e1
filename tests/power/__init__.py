"""Power loss: what a run wrote to disk, and what of it a power cut could have left."""
