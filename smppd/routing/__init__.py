"""Who takes a message, and at what cost: pure functions over numbers, senders and routes.

``msisdn`` judges destinations, ``sender`` reads source addresses, ``sheet`` reads rate sheets,
``table`` finds the offers (``compile`` makes them), ``choice`` says which a message may take.
Nothing here knows text, carriers' links, time or disk.
"""
