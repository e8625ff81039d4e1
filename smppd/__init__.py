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
    demo  repair                    simulator, daemon and an app in one command; damaged stores
    daemon  simulator               the nursery tree; a scriptable SMSC;
    client  terminal                the app's side of the socket; how faces look and complain
    metrics                         what is measured, when somebody asks
    api                             the face for apps
    traffic                         binds, commits, and what goes where
    store  config                   LMDB; TOML
    smpp  text  routing  policy     siblings, blind to one another
    errors  faults  log  systemd  turns    the ground

Rooms, file by file (``policy`` is drawn, and not built yet):

``errors``   the exception tree        ``systemd``  notify, watchdog, sockets, credentials
``faults``   where tests end the process
``turns``    long work in a thread beside the loop
``log/``     structlog, once: lines for operators
    ``writer``     to whom nobody reads, without waiting  ``notices``    one line for a thousand
    ``importing``  structlog, without rich
``ctl/``     smppctl's commands
    ``options``    what all verbs share                   ``messages``    send, quote, cancel, tail
    ``looking``    verbs that change nothing              ``operating``   verbs that do
    ``talk``       one conversation with the daemon       ``show``        answers, events, status
    ``tables``     the other answers                      ``trace``       a message's life
    ``masking``    what is not shown                      ``times``       as people write them
    ``keeping``    backup, export, forget                 ``levers``      a carrier, by hand
    ``codes``      what a command_status means            ``codebook``    docs/errors.md
    ``asking``     a carrier, and what it said
``terminal`` exit codes and tables     ``demo/``    every outcome planned, then checked
    ``plan``       what is sent, and what must become of it
    ``stage``      its two processes                      ``report``      its tables
``repair``   ``smppd verify`` and ``salvage``, told
``client/``  the app's side of the socket, for apps
    ``client``     the verbs, for Trio                    ``blocking``    the verbs, without it
    ``keeper``     stays connected, for Trio              ``wire``        stays connected, without
    ``exchange``   what is owed over connections (pure)   ``lines``       one connection's (pure)
    ``shapes``     requests, answers, events, typed       ``requests``    what both faces do alike
    ``following``  single messages, for Trio              ``errors``      what is raised
    ``connection`` one connection as it is
``daemon/``  everything from one configuration, and the tree it runs in
    ``service``    starts, serves, drains, ends           ``build``       configuration to what runs
    ``fleet``      carriers come, change and go           ``reload``      whole, or not at all
    ``control``    the operator's verbs, done             ``explain``     why a number goes there
    ``views``      its state in the protocol's words      ``sockets``     ours, or systemd's
    ``heartbeat``  signs of life for systemd              ``health``      when failover begins
    ``minute``     what each carrier did                  ``outside``    all it gets from there
    ``descriptors`` how many apps there may be            ``hinting``     which key fits better
    ``disk``       when it is full, for the log           ``certificates`` which will end
    ``keeping``    backup, export, forget                 ``garbage``    when it is collected
    ``levers``     a carrier asked, tapped; the quarantine
``metrics/`` for Prometheus
    ``measures``   every metric, one table                ``server``      a page over HTTP
    ``lag``        how late the loop is                   ``passes``     how long it is busy
``config/``  typed TOML, every problem at once
    ``model``      every key, its bounds and its default  ``load``        a whole directory
    ``tables``     a table becomes a struct, key by key   ``values``      durations, sizes, users
    ``inbound_rules`` whose messages from phones are      ``verdicts``    what a carrier means
    ``source``     the one file that reads TOML           ``daemon_file`` smppd.toml
    ``carrier_file`` a carrier, its password and TLS      ``routing_file`` routes and sheets
    ``check``      what is allowed and hardly meant       ``diff``        what a reload changes
    ``modes``      what other users could read or write   ``carrier_names`` which there are
    ``submits``    addresses and TLVs of a carrier        ``certificate`` its key, and its end
``smpp/``    the wire, without I/O
    ``constants``  spec names, their numbers              ``pdu``         our codec of the hot four
    ``rare``       PDUs that make and end a bind          ``framing``     bytes to PDUs
    ``data_sm``    traffic whose text is a TLV            ``layout``      fields by a table
    ``sundry``     queries, cancels, alerts, outbind      ``asks``        questions that wait
    ``asides``     who may say those, and when            ``requests``    what a shell hands in
    ``window``     what is unanswered, oldest first       ``throughput``  pacing
    ``signals``    what a session reports                 ``session``     the traffic of one bind
    ``bind``       its states, from bind to unbind        ``timers``      their deadlines
    ``receipt``    a receipt from TLVs or text            ``receipt_text`` the keys of any text
    ``statuses``   what a command_status means            ``status_table`` cause, remedy, verdict
    ``message_id`` ids as receipts spell them             ``capture``     a pcap file of links
    ``redaction``  PDUs without what is nobody's business
``text/``    characters to user data, and data
    ``gsm7``, ``ucs2``  octets                            ``cuts``        where pieces end
    ``segment``    how many, and in a carrier's form      ``packing``     8 septets in 7 octets
    ``national``   tables of the languages                ``shifting``    which of them, and headers
    ``smart``      what reads the same in GSM-7           ``reading``     text by data_coding
    ``header``     what a user data header says
``routing/`` who takes it, at what cost
    ``msisdn``     numbers                                ``sender``      source addresses
    ``table``      who takes a number, and what moved     ``offers``      its words
    ``finding``    a number's offers, when it comes       ``sheet``       a rate sheet from CSV
    ``compile``    all offers of all prefixes             ``choice``      what a message may take
    ``inbound``    whose a message from a phone is
``store/``   LMDB, synchronous
    ``changes``    what can happen                        ``records``     what is kept
    ``store``      one transaction a batch                ``rules``       the configuration's say
    ``ledger``     a batch in order; what granters ask    ``book``        its tables, and one step
    ``proposals``  what apps submit and take              ``outcomes``    what became of grants
    ``receipts``   what carriers tell us later            ``orders``      cancel, resolve, modes
    ``inbound``    messages from phones, told             ``reassembly``  their segments
    ``threads``    which message a phone answers
    ``life``       a message, step by step                ``fitting``     into a carrier's form
    ``messages``   the one copy in memory, and its row    ``waiting``     the queue's rows
    ``grants``     what may be on a wire                  ``modes``       paused and drained ones
    ``matching``   whose receipt this is                  ``keys``        how things are found
    ``events``     an event's line                        ``eventlog``    each app's lines in order
    ``index``      random keys: recent ones in memory     ``deadlines``   what is due when
    ``runs``       and the others in sorted runs          ``merging``     fewer, larger runs
    ``blocks``     a page of a run                        ``sieve``       which run may have a key
    ``references`` which number joins the segments        ``retention``   what ages out
    ``tags``       the messages of a campaign             ``search``      found by what is known
    ``view``       a message as ``query`` shows it        ``trace``       and with every step
    ``quarantine`` what nobody could read                 ``evidence``    its rows
    ``known``      what is known of a number              ``privacy``     and forgotten
    ``backup``     a copy of it all                       ``restore``     the first start on one
    ``retiming``   when the clock was set back            ``addresses``   is it one phone
    ``awaited``    receipts found by their phone          ``shared_ids``  ids that name nobody
    ``hints``      which key a carrier's receipts want    ``said``        what receipts say
    ``environment`` the file that opens LMDB
    ``claim``      who holds the directory                ``place``       on a disk of ours
    ``space``      the reserve, when the disk is full     ``layout``      files, tables, checksums
    ``startcheck`` before LMDB may map the file           ``inspection``  every page and checksum
    ``pages``      LMDB's file, read without LMDB         ``rows``        what each must look like
    ``verify``     do the rows agree with each other      ``offline``     while no daemon runs
    ``salvage``    what can be read of a damaged store    ``rebuild``     what follows from messages
``traffic/`` binds and commits
    ``commit``     one ordered group commit for all       ``settle``      signals to changes (pure)
    ``queue``      a bounded view of what waits (pure)    ``places``      where a message waits
    ``roster``     carriers, binds, and their groups      ``dispatch``    what goes on which wire
    ``granting``   the step that grants it                ``holding``     who is told ``held``
    ``compose``    a segment's submit_sm                  ``wall``        whether it was set
    ``link``       one stream: a reader and a writer      ``carrier``     keeps binds up
    ``tls``        whom we believe, and why not           ``outbind``     waits to be called
    ``tap``        what goes over links, for a while      ``asking``      a carrier, by hand
    ``metered``    whether a stream was read empty        ``counts``      of one carrier's links
    ``breaker``    when a failing carrier gets no more    ``dressing``    as a carrier wants it
    ``writing``    one write, or why not                  ``ending``      a lost bind, in parts
    ``wakeup``     for one task that waits
``api/``     the face for apps
    ``protocol``   lines to requests, answers to lines    ``requests``    one struct a verb
    ``fields``     the submit object                      ``answers``     one struct an answer
    ``faults``     what is wrong with a field, in words   ``extras``      fields few submits have
    ``intake``     judges submits (pure)                  ``placing``     offers under its wishes
    ``controls``   what the daemon must serve             ``views``       what it shows
    ``schema``     all of it for programs                 ``peers``       who is asking
    ``conversation`` what a peer may say (pure)           ``replies``     what it is told (pure)
    ``connection`` one reader, one writer                 ``outbox``      events to subscribers
    ``server``     who may connect                        ``accepting``  while descriptors last
``simulator/`` an SMSC that does what a test needs
    ``profile``    a TOML file of it                      ``settings``    profiles and options
    ``behaviour``  what a carrier does                    ``timetable``   and when otherwise
    ``delay``      a number or a distribution             ``phones``      what they do by themselves
    ``carrier``    answers and delivers                   ``decisions``   the lots that are drawn
    ``batch``      what becomes of a read's submits       ``messages``    what query_sm is told
    ``deliveries`` receipts, and from phones              ``outgoing``    where they wait
    ``schedule``   what is due later                      ``ledger``      what was submitted
    ``join``       its segments, joined again             ``statistics``  what was counted
    ``link``       one stream in the SMSC's role          ``listen``      ports of many carriers
"""

__version__ = "0.1.0"
