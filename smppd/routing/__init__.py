"""Who takes a message, and at what cost: pure functions over numbers, senders and routes.

``msisdn`` judges destinations, ``sender`` reads source addresses, ``table`` finds the offers.
Nothing here knows text, carriers' links, time or disk.
"""
