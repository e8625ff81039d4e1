"""An SMSC for tests, benchmarks, rehearsals and the demo, on the session code of smppd itself.

Any number of carriers in one process, over real TCP or any other Trio stream. Each does what its
``Behaviour`` says: delays, refusals, lost receipts, and the ways in which a link dies. What it
was given is in its statistics and, if wanted, in a ledger, so that a test can hold the daemon to
it: lost is what no accepted line carries, a duplicate is a second one.

``behaviour`` says what a carrier does, ``carrier`` decides it for each submit, ``deliveries``
builds what it sends by itself, ``schedule`` keeps what is due later, ``ledger`` what was seen;
``link`` carries one stream and ``listen`` the ports. Only the last two await anything.

It speaks to no store, no daemon and no app. It is no judge either: it never fails a test by
itself, and an answer it has written may still be lost with the socket.
"""

from smppd.simulator.behaviour import Behaviour
from smppd.simulator.carrier import SimulatedCarrier
from smppd.simulator.join import MessageRecord, SubmitRecord, join
from smppd.simulator.link import Link
from smppd.simulator.listen import Place, carriers_from_config, serve
from smppd.simulator.profile import Profile, load_profile
from smppd.simulator.statistics import CarrierStatistics

__all__ = [
    "Behaviour",
    "CarrierStatistics",
    "Link",
    "MessageRecord",
    "Place",
    "Profile",
    "SimulatedCarrier",
    "SubmitRecord",
    "carriers_from_config",
    "join",
    "load_profile",
    "serve",
]
