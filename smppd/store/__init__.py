"""The store: what smppd has promised, on disk.

Synchronous and single-writer. Everything that happens is a *change* (``changes.py``); one call of
``Store.commit`` decides a whole batch of them in order, asks for grants, and writes the result in
one LMDB transaction. What a message can go through is in ``life.py``, free of any disk.
"""
