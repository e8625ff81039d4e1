"""SMPP software none of us wrote, talking to ours, and judging what we wrote.

==========================  ==========================================================  ===========
peer                        what it does here                                           comes by
==========================  ==========================================================  ===========
npm's smpp (node-smpp)      ``smsc.js``: an SMSC, and a reader of each form we compose  package-lock
Net::SMPP (Perl)            ``smsc.pl``: an SMSC that speaks 3.3, refuses, calls us;    Debian
                            ``codec.pl``: every PDU read and written again
smpp34 (Rust)               ``smpp34_smsc``: an SMSC; submit_sm and deliver_sm, both    pip, locked
                            ways, damaged ones too
smppy                       ``smppy_smsc``: a sloppy SMSC, without ids                  pip, locked
tshark                      reads a whole run, which ``relay`` has written down         Debian
sms-segments-calculator     ``segments.js``: where a text is cut                        package-lock
==========================  ==========================================================  ===========

Each SMSC writes what it read to a ledger (``ledger``), one JSON object a line. The last two digits
of a destination say what becomes of a submit, the same for all who can do it:

    01  refused with ESME_RINVDSTADR            08  its receipt is a data_sm
    02  throttled once, then taken              09  its receipt is in message_payload
    03  of node-smpp: answered late, after      10  an intermediate UNDELIV comes first
        its receipt; of Net::SMPP: refused      11  the centre unbinds; of Net::SMPP before the
        with a body                                 receipt, of smpp34 after it
    04  not answered the first time, then       12  the centre asks whether we live
        taken (of smpp34: ESME_RSYSERR);        13  the phone answers
        of Net::SMPP: generic_nack              14  taken, and no receipt comes
    05  never answered                          15  the phone answers in segments with a header
    06  taken, and its receipt says UNDELIV     16  and with sar_* TLVs
    07  its receipt is TLVs without a text      any other: taken at once, its receipt DELIVRD

(smppy has a table of its own.) Where a peer is missing its tests are skipped, and the end of the
run says so; with CI=true they fail. The lock files name no registry (``.npmrc``), only what the
packages must hash to.
"""
