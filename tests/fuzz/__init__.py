"""Octets from strangers, against every door they can come in by.

A target is a function of octets that returns, or raises where something is wrong with us: an
exception nobody promised, a promise broken. What a target is given decides everything it does, so
an input that was found once is a file in ``corpus/TARGET`` and a test for good. hypothesis draws
inputs in the suite (``test_fuzz``), which replays the corpus too (``test_corpus``); atheris goes
on as long as you like, led by coverage (``python -m tests.fuzz TARGET --seconds 600``, ``make
fuzz``).
"""
