"""smppd: a durable SMPP routing daemon with direct carrier binds, seen from the air.

One message's way
=================
::

    app        a line of JSON on a Unix socket                       api/server
     |         -> a request                                          api/protocol
     |         -> judged: fields, number, sender, route, segments    api/intake      (pure)
     |         -> a change, committed with everybody else's          traffic/commit, store
     | <----   accepted                          -- it is on disk --
     |         granted to a bind that has room, on disk too          traffic/dispatch, store
     |         -> submit_sm, window, pacing                          smpp/session    (no I/O)
    SMSC       one write                                             traffic/link
     | ---->   submit_sm_resp, and later a receipt                   smpp/session -> signals
     |         -> changes                                            traffic/settle  (pure)
     |         committed, and only then deliver_sm_resp              traffic/commit
    app <----  events, in order, until taken                         api/outbox

Everything travels in lists. A read gives a list of signals, a list of signals gives a list of
changes, all the lists of one pass of the scheduler become one transaction and one fsync, and
what was waiting for it leaves in one write per peer.

Invariants
==========
1. **Durable before told.** An app reads ``accepted``, and an SMSC gets its ``deliver_sm_resp``,
   only after the transaction that holds the fact has committed.
2. **Nothing on the wire without a grant on disk.** After a crash the open grants are the
   messages in doubt: never fewer than the truth, at most one window a bind more.
3. **Imports go down.** A room imports rooms below it, never beside or above it
   (``tests/test_layers.py`` is the law).
4. **Batches cross awaits, messages do not.** Hot-path functions take a list and return a list;
   a task awaits once per batch.
5. **A peer's fault is a value**, the last signal of its list. Exceptions are for our own bugs
   and for links that are gone; one bad element never costs its batch anything.
6. **Pure rooms have no clock, chance, environment or log**: ``now``, ids and references are
   arguments, and what happened is the return value.
7. **Every buffer, queue and wait has a named bound**, with its unit and the reason for it.
8. **Recovery is the start path.** Nothing catches ``Exception``: a bug stops the daemon, the
   service manager starts it, the store resumes.

The house, from the roof down
=============================
::

    cli  ctl                        smppd and smppctl, faces for people
    demo                            simulator, daemon and an app in one command
    daemon  simulator               the nursery tree; a scriptable SMSC;
    client  terminal                the app's side of the socket; how faces look and complain
    api                             the face for apps
    traffic                         binds, commits, and what goes where
    store  config                   LMDB; TOML
    smpp  text  routing  policy     siblings, blind to one another
    errors  log  systemd            the ground

Rooms, file by file (``policy`` and ``systemd`` are drawn, and not built yet):

``errors``   the exception tree        ``log``      structlog, once: lines for operators
``ctl/``     smppctl's commands
    ``talk``       one conversation with the daemon       ``show``        answers, events, status
``terminal`` exit codes and tables     ``demo/``    every outcome planned, then checked
    ``plan``       what is sent, and what must become of it
    ``stage``      its two processes                      ``report``      its tables
``config/``  typed TOML, every problem at once
    ``model``      every key, its bounds and its default  ``load``        a whole directory
    ``tables``     a table becomes a struct, key by key   ``values``      durations, sizes, users
    ``source``     the one file that reads TOML
``smpp/``    the wire, without I/O
    ``constants``  spec names, their numbers              ``pdu``         our codec of the hot four
    ``rare``       the other PDUs, checked                ``framing``     bytes to PDUs
    ``window``     what is unanswered, oldest first       ``throughput``  pacing
    ``signals``    what a session reports                 ``session``     the traffic of one bind
    ``bind``       its states, from bind to unbind        ``timers``      their deadlines
    ``receipt``    a receipt from TLVs or text            ``receipt_text`` the keys of any text
    ``message_id`` ids as receipts spell them
``text/``    characters to user data: ``gsm7``, ``ucs2``, ``segment``
``routing/`` who takes it, at what cost: ``msisdn``, ``sender``, ``table``
``store/``   LMDB, synchronous
    ``changes``    what can happen                        ``records``     what is kept
    ``store``      one transaction a batch                ``ledger``      what each change does
    ``life``       a message, step by step
    ``messages``   the one copy in memory, and its row    ``waiting``     the queue's rows
    ``grants``     what may be on a wire
    ``matching``   whose receipt this is                  ``keys``        how things are found
    ``events``     an event's line                        ``eventlog``    each app's lines in order
    ``index``      random keys: recent ones in memory     ``deadlines``   what is due when
    ``references`` which number joins the segments        ``retention``   what ages out
    ``view``       a message as ``query`` shows it        ``environment`` the file that opens LMDB
``traffic/`` binds and commits
    ``commit``     one ordered group commit for all       ``settle``      signals to changes (pure)
    ``queue``      a bounded view of what waits (pure)    ``dispatch``    who is granted what
    ``roster``     carriers, binds, and their groups      ``compose``     a segment's submit_sm
    ``link``       one stream: a reader and a writer      ``carrier``     keeps binds up
``api/``     the face for apps
    ``protocol``   lines to requests, answers to lines    ``fields``      the submit object
    ``intake``     judges submits (pure)                  ``peers``       who is asking
    ``conversation`` what a peer may say (pure)           ``connection``  one reader, one writer
    ``server``     the listener                           ``outbox``      events to subscribers
``simulator/`` an SMSC that does what a test needs
    ``behaviour``  what a carrier does                    ``carrier``     answers and delivers
    ``decisions``  what becomes of each submit            ``deliveries``  receipts, and from phones
    ``schedule``   what is due later                      ``ledger``      what was submitted
    ``link``       one stream in the SMSC's role          ``listen``      ports of many carriers
"""

__version__ = "0.1.0"
