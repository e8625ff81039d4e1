"""Characters to user data and back: the GSM 03.38 alphabet and its national tables, UCS-2, and
cutting a text into segments.

Knows nothing of PDUs, carriers or the store: text and a reference go in, octets come out.
"""
