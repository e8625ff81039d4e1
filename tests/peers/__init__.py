"""SMPP software none of us wrote, talking to ours.

``smsc.js`` is an SMSC of npm's ``smpp`` (node-smpp, MIT): it decodes what smppd sends with that
package alone, joins long messages by what their parts say, and writes what it read to a ledger,
one JSON object a line. The last two digits of a destination say what becomes of a submit:

    01  refused with ESME_RINVDSTADR            05  never answered
    02  throttled once, then taken              06  taken, and its receipt says UNDELIV
    03  answered late, after its receipt        07  its receipt is TLVs without a text
    04  not answered the first time, then taken 08  its receipt is a data_sm
    any other: taken at once, and its receipt says DELIVRD

``node.py`` starts it. Needed: node, and the packages of ``package-lock.json`` by ``npm ci``, which
``make test`` runs. Where one of them is missing these tests are skipped, and the end of the run
says so; with CI=true they fail. The lock file names no registry (``.npmrc``), only what the
packages must hash to.
"""
