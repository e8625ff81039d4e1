"""Who takes a message, and at what cost: pure functions over numbers, senders and routes.

``msisdn`` judges destinations, ``sender`` reads source addresses, ``sheet`` reads rate sheets,
``table`` has the offers (``finding`` finds a number's, ``compile`` makes all of them), ``choice``
says which a message may take. Nothing here knows text, carriers' links, time or disk.
"""
