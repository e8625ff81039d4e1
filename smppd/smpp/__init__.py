"""The wire: SMPP 3.4 without I/O.

Bytes come in, signals go out, and bytes to write are handed over; nobody in this room opens a
socket, reads a clock, draws a random number or logs. It knows nothing of messages, carriers or
the store: a request carries an opaque tag, which comes back with its answer.

========================  ====================================================================
``constants.py``          the numbers of the specification, under its own names
``pdu.py``                submit_sm, deliver_sm and their responses: the hot codecs
``rare.py``               every other PDU, through one checked adapter over smpplib
``framing.py``            a byte stream cut into PDUs
``window.py``             the requests that wait for an answer
``throughput.py``         how many submits a second, and what throttling does to it
``timers.py``             the four timers of section 7.2 as deadlines
``signals.py``            what a session reports
``bind.py``               the state of a bind: all that is said beside the traffic
``session.py``            one bind whole, in either role: the one a link talks to
``receipt.py``            a delivery receipt, from TLVs or text (``receipt_text.py`` reads the text)
``message_id.py``         which ids of responses a receipt's id may stand for
========================  ====================================================================
"""
