"""Characters to user data: the GSM 03.38 alphabet, UCS-2, and cutting a text into segments.

Knows nothing of PDUs, carriers or the store: text and a reference go in, octets come out.
"""
