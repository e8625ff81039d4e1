"""The face for apps: JSON lines on a Unix socket, as ``docs/protocol.md`` promises them.

``requests`` and ``answers`` are the words of the protocol, ``protocol`` turns bytes into the one
and the other into bytes; ``fields`` and ``extras`` know the submit object field by field.
``conversation`` says what a connection's requests change and are answered, with ``intake`` judging
the submits among them; ``controls`` and ``views`` are what operators ask of the daemon; ``peers``
asks the kernel who is there; ``outbox`` finds subscribers their events. Only ``connection`` and
``server`` wait for anything.
"""
