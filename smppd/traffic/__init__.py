"""Binds and commits: where batches meet.

Every reader that woke in a scheduler pass adds its changes to one list, and the committer woken
by the first of them commits them all; what the commit granted leaves in the next pass. Nobody
waits to fill a batch.
"""
