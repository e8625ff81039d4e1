"""The face for apps: JSON lines on a Unix socket, as ``docs/protocol.md`` promises them.

``protocol`` turns bytes into requests and answers into bytes; ``fields`` knows the submit object
field by field; ``conversation`` says what a connection's requests change and are answered, with
``intake`` judging the submits among them; ``peers`` asks the kernel who is there; ``outbox`` finds
subscribers their events. Only ``connection`` and ``server`` wait for anything.
"""
