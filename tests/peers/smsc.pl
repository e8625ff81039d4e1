#!/usr/bin/perl
# An SMSC of Net::SMPP (Sampo Kellomäki), steered by the destination and telling what it read.
#
#   perl smsc.pl LEDGER PORT...
#
# A PORT is listened on; as outbind:PORT it is called instead, and asked by outbind to be bound to.
# LEDGER gets one JSON object a line: each bind, each submit as it was decoded, each message as soon
# as all of its parts are there, and the answer to each receipt. PDUs are read and written by the
# package alone, and characters by perl's Encode; what is ours is the header of user data.
use strict;
use warnings;

use Encode qw(decode encode);
use IO::Select;
use JSON::PP;
use Net::SMPP;

use constant {
    LONG_REPLY   => "Stra\x{df}e [\x{20ac}] \@home ~ " x 20,
    CUT_OCTETS   => 123,     # in the middle of an escape, and of a unit of UCS-2
    RECEIPT      => 0x04,    # of esm_class
    INTERMEDIATE => 0x20,
    LOOK_SECONDS => 0.05,    # between two calls of one who does not listen yet
    PASSWORD     => 'secret',
    VERSION_34   => pack('C', 0x34),
};

# What becomes of a submit, by the last two digits of its destination; the rest is taken at once
# and its receipt says delivered.
my %TAKEN = (receipt => 'DELIVRD');
my %FATES = (
    '01' => { status => 0x0B },
    '02' => { status => 0x58, once => 1, receipt => 'DELIVRD' },
    '03' => { status => 0x0A, body => 1 },
    '04' => { status => 0x0B, nack => 1 },
    '06' => { receipt => 'UNDELIV' },
    '07' => { receipt => 'DELIVRD', shape => 'tlvs' },
    '08' => { receipt => 'DELIVRD', shape => 'data_sm' },
    '09' => { receipt => 'DELIVRD', shape => 'payload' },
    '10' => { receipt => 'DELIVRD', before => 'UNDELIV' },
    '11' => { receipt => 'DELIVRD', unbinds => 1 },
    '12' => { receipt => 'DELIVRD', asks => 1 },
    '13' => { receipt => 'DELIVRD', replies => "Stra\x{df}e [\x{20ac}] \@home" },
    '14' => { quiet => 1 },
    '15' => { receipt => 'DELIVRD', replies => LONG_REPLY, segments => 'udh', alphabet => 0x00 },
    '16' => { receipt => 'DELIVRD', replies => LONG_REPLY, segments => 'sar', alphabet => 0x08 },
);
my %STATES = (DELIVRD => 2, UNDELIV => 5);

# The first bind of these is refused.
my %REFUSED_ONCE = (already => 0x05, failing => 0x0D);

my %ALPHABETS = (0x00 => 'gsm0338', 0xF0 => 'gsm0338', 0x03 => 'iso-8859-1', 0x08 => 'UTF-16BE',
    0x18 => 'UTF-16BE');

my ($ledger, @places) = @ARGV;
open my $LEDGER, '>>', $ledger or die "$ledger: $!";
$LEDGER->autoflush(1);
$SIG{PIPE} = 'IGNORE';

my $JSON = JSON::PP->new->canonical->utf8;
my $selected = IO::Select->new;
my (%listeners, %sessions, %receivers, %seen, %parts, %asked, @uncalled, @owed);
my $messages = 0;

sub write_row {
    my (%row) = @_;
    print {$LEDGER} $JSON->encode(\%row) . "\n";
}

# The elements of the header, as [tag, value], and the octets behind them.
sub cut_header {
    my ($esm_class, $octets) = @_;
    return ([], $octets) unless $esm_class & 0x40;
    my ($header, $rest) = unpack 'C/a a*', $octets;
    my @elements;
    while (length $header) {
        my ($tag, $value, $more) = unpack 'C C/a a*', $header;
        push @elements, [$tag, $value];
        $header = $more;
    }
    return (\@elements, $rest);
}

# The text of a submit and where it stands in its message: [reference, total, number].
sub read_user_data {
    my ($pdu) = @_;
    my $is_payload = defined $pdu->{message_payload} ? JSON::PP::true : JSON::PP::false;
    my $octets = $is_payload ? $pdu->{message_payload} : $pdu->{short_message};
    my ($elements, $rest) = cut_header($pdu->{esm_class}, $octets);
    my @joint = map { [unpack($_->[0] ? 'nCC' : 'CCC', $_->[1])] }
        grep { $_->[0] == 0x00 || $_->[0] == 0x08 } @$elements;
    if (defined $pdu->{sar_total_segments}) {
        push @joint, [unpack('n', $pdu->{sar_msg_ref_num}), unpack('C', $pdu->{sar_total_segments}),
            unpack('C', $pdu->{sar_segment_seqnum})];
    }
    my $alphabet = $ALPHABETS{$pdu->{data_coding}};
    my $text = $alphabet ? decode($alphabet, $rest) : 'hex:' . unpack('H*', $rest);
    my $header = join '', map { unpack 'H*', pack('C C/a', @$_) } @$elements;
    return (payload => $is_payload, text => $text, header => $header, joint => \@joint);
}

sub record_submit {
    my ($session, $pdu, $command, $status, $message_id) = @_;
    my %read = read_user_data($pdu);
    my %where = (port => $session->{port}, source => $pdu->{source_addr},
        destination => $pdu->{destination_addr});
    my $life = $pdu->{qos_time_to_live};
    write_row(row => 'submit', %where, %read, command => $command, status => $status,
        message_id => "$message_id", data_coding => $pdu->{data_coding} + 0,
        esm_class => $pdu->{esm_class} + 0,
        registered_delivery => $pdu->{registered_delivery} + 0,
        time_to_live => defined $life ? unpack('N', $life) : undef,
        vendor => defined $pdu->{0x1400} ? unpack('H*', $pdu->{0x1400}) : undef,
        tags => [map { $_ + 0 } sort { $a <=> $b } grep { /^\d+$/ } keys %$pdu]);
    return if $status;
    my ($reference, $total, $number) = @{ $read{joint}[0] || [0, 1, 1] };
    my $key = join '/', $session->{port}, $pdu->{source_addr}, $pdu->{destination_addr}, $reference;
    $parts{$key}{$number} = $read{text};
    return if keys %{ $parts{$key} } < $total;
    my $texts = delete $parts{$key};
    write_row(row => 'message', %where, parts => $total,
        text => join('', map { $texts->{$_} } sort { $a <=> $b } keys %$texts));
}

# Back to who submitted; Net::SMPP waits for the answer itself unless told not to.
sub back {
    my ($pdu) = @_;
    return (source_addr_ton => $pdu->{dest_addr_ton}, source_addr_npi => $pdu->{dest_addr_npi},
        source_addr => $pdu->{destination_addr}, dest_addr_ton => $pdu->{source_addr_ton},
        dest_addr_npi => $pdu->{source_addr_npi}, destination_addr => $pdu->{source_addr},
        async => 1);
}

sub send_receipt {
    my ($session, $pdu, $message_id, $stat, $shape, $esm_class) = @_;
    my $text = "id:$message_id sub:001 dlvrd:001 submit date:2601021530 done date:2601021531 "
        . "stat:$stat err:000 text:";
    my @tlvs = (receipted_message_id => "$message_id\0", message_state => pack('C', $STATES{$stat}));
    my @fields = (back($pdu), esm_class => $esm_class);
    my $link = $session->{link};
    my $sequence
        = $shape eq 'tlvs'    ? $link->deliver_sm(@fields, @tlvs)
        : $shape eq 'payload' ? $link->deliver_sm(@fields, message_payload => $text)
        : $shape eq 'data_sm' ? $link->data_sm(@fields, @tlvs, message_payload => $text)
        :                       $link->deliver_sm(@fields, short_message => $text);
    $asked{ $session->{name}, $sequence } = $message_id;
}

sub send_receipts {
    my ($session, $pdu, $message_id, $fate) = @_;
    my $shape = $fate->{shape} || 'text';
    my $to = $session->{kind} eq 'transmitter' ? $receivers{ $session->{port} } : $session;
    my @receipt = ($to, $pdu, $message_id);
    send_receipt(@receipt, $fate->{before}, $shape, INTERMEDIATE) if $fate->{before};
    send_receipt(@receipt, $fate->{receipt}, $shape, RECEIPT);
}

sub respond {
    my ($session, $pdu, $command, $status, $message_id, $fate) = @_;
    my $link = $session->{link};
    my @header = (seq => $pdu->{seq}, status => $status);
    if ($fate->{nack}) {
        $link->generic_nack(@header);
    } elsif ($status && !$fate->{body}) {
        $link->resp_backend(Net::SMPP::CMD_submit_sm_resp, '', $link, @header);
    } else {
        my $method = "${command}_resp";
        $link->$method(@header, message_id => $message_id);
    }
}

sub answer_submit {
    my ($session, $pdu, $command) = @_;
    my $fate = $FATES{ substr $pdu->{destination_addr}, -2 } || \%TAKEN;
    my $key = join '/', $session->{port}, $pdu->{destination_addr};
    $fate = \%TAKEN if $fate->{once} && $seen{$key};
    $seen{$key} = 1;
    my $status = $fate->{status} || 0;
    my $message_id = sprintf 'PERL%08X', ++$messages;
    record_submit($session, $pdu, $command, $status, $status ? '' : $message_id);
    respond($session, $pdu, $command, $status, $message_id, $fate);
    return if $status;
    my $is_asked = ($pdu->{registered_delivery} & 3) == 1 && !$fate->{quiet};
    my @receipt = ($pdu, $message_id, $fate);
    if ($fate->{unbinds}) {
        push @owed, [$session->{port}, @receipt];
        $session->{link}->unbind(async => 1);
        return;
    }
    $session->{link}->enquire_link(async => 1) if $fate->{asks};
    reply($session, $pdu, $fate) if $fate->{replies};
    send_receipts($session, @receipt) if $is_asked;
}

# The phone answers at once; segments come the last one first, and are cut anywhere.
sub reply {
    my ($session, $pdu, $fate) = @_;
    my $link = $session->{link};
    my @fields = (back($pdu), data_coding => $fate->{alphabet} || 0x00);
    my $octets = encode($ALPHABETS{ $fate->{alphabet} || 0x00 }, $fate->{replies});
    return $link->deliver_sm(@fields, short_message => $octets) unless $fate->{segments};
    my @pieces = unpack '(a' . CUT_OCTETS . ')*', $octets;
    for my $number (reverse 1 .. @pieces) {
        my $piece = $pieces[$number - 1];
        my $header = pack 'C6', 5, 0, 3, 77, scalar @pieces, $number;
        my @sar = (sar_msg_ref_num => pack('n', 77), sar_total_segments => pack('C', scalar @pieces),
            sar_segment_seqnum => pack('C', $number));
        $fate->{segments} eq 'udh'
            ? $link->deliver_sm(@fields, esm_class => 0x40, short_message => $header . $piece)
            : $link->deliver_sm(@fields, short_message => $piece, @sar);
    }
}

sub answer_bind {
    my ($session, $pdu, $kind) = @_;
    my $id = $pdu->{system_id};
    my $status = $pdu->{password} ne PASSWORD ? 0x0E : 0;
    $status = delete $REFUSED_ONCE{$id} if !$status && $REFUSED_ONCE{$id};
    write_row(row => 'bind', port => $session->{port}, kind => $kind, system_id => $id,
        version => $pdu->{interface_version} + 0, status => $status);
    my $method = "bind_${kind}_resp";
    my @header = (seq => $pdu->{seq}, status => $status);
    my @version = $pdu->{interface_version} < 0x34 ? () : (sc_interface_version => VERSION_34);
    $session->{link}->$method(@header, system_id => 'perl', $status ? () : @version);
    return if $status;
    $session->{kind} = $kind;
    $receivers{ $session->{port} } = $session if $kind ne 'transmitter';
    my @mine = grep { $_->[0] == $session->{port} } @owed;
    @owed = grep { $_->[0] != $session->{port} } @owed;
    send_receipts($session, @$_[1 .. 3]) for @mine;
}

sub hang_up {
    my ($session) = @_;
    $selected->remove($session->{link});
    delete $sessions{ $session->{name} };
    close $session->{link};
}

# Whatever it is asked of has been delivered, and cannot be stopped any more.
sub answer_query {
    my ($session, $pdu) = @_;
    record_asking($session, $pdu, 'query_sm');
    $session->{link}->query_sm_resp(seq => $pdu->{seq}, message_id => $pdu->{message_id},
        final_date => '260102153100000+', message_state => 2, error_code => 0);
}

sub answer_cancel {
    my ($session, $pdu) = @_;
    record_asking($session, $pdu, 'cancel_sm');
    $session->{link}->cancel_sm_resp(seq => $pdu->{seq}, status => 0x11);
}

sub record_asking {
    my ($session, $pdu, $command) = @_;
    write_row(row => 'asked', port => $session->{port}, command => $command,
        message_id => $pdu->{message_id}, source => $pdu->{source_addr});
}

my %ANSWERS = (
    bind_transceiver => sub { answer_bind(@_, 'transceiver') },
    bind_transmitter => sub { answer_bind(@_, 'transmitter') },
    bind_receiver    => sub { answer_bind(@_, 'receiver') },
    submit_sm        => sub { answer_submit(@_, 'submit_sm') },
    data_sm          => sub { answer_submit(@_, 'data_sm') },
    query_sm         => \&answer_query,
    cancel_sm        => \&answer_cancel,
    enquire_link     => sub { $_[0]{link}->enquire_link_resp(seq => $_[1]{seq}) },
    enquire_link_resp => sub { write_row(row => 'alive', port => $_[0]{port}) },
    unbind => sub {
        $_[0]{link}->unbind_resp(seq => $_[1]{seq});
        hang_up($_[0]);
    },
    unbind_resp => sub {
        write_row(row => 'unbind', port => $_[0]{port}, status => $_[1]{status} + 0);
        hang_up($_[0]);
    },
    map { $_ => \&record_receipt_answer } qw(deliver_sm_resp data_sm_resp),
);

sub record_receipt_answer {
    my ($session, $pdu) = @_;
    my $message_id = delete $asked{ $session->{name}, $pdu->{seq} };
    write_row(row => 'receipt_answer', message_id => $message_id, status => $pdu->{status} + 0)
        if defined $message_id;
}

sub read_session {
    my ($session) = @_;
    local $SIG{__WARN__} = sub { };    # an end of the stream is warned of
    my $pdu = $session->{link}->read_pdu or return hang_up($session);
    my $answer = $ANSWERS{ $pdu->explain_cmd };
    return $answer->($session, $pdu) if $answer;
    $session->{link}->generic_nack(seq => $pdu->{seq}, status => 0x03);
}

sub begin_session {
    my ($link, $port) = @_;
    my $name = "$link";
    $sessions{$name} = { name => $name, link => $link, port => $port + 0, kind => '' };
    $selected->add($link);
}

sub call_uncalled {
    my @still;
    for my $port (@uncalled) {
        my $link = Net::SMPP->new_connect('127.0.0.1', port => $port);
        if (!$link) {
            push @still, $port;
            next;
        }
        $link->outbind(system_id => 'smppd', password => PASSWORD);
        begin_session($link, $port);
    }
    @uncalled = @still;
}

for my $place (@places) {
    if ($place =~ /^outbind:(\d+)$/) {
        push @uncalled, $1;
        next;
    }
    my $listener = Net::SMPP->new_listen('127.0.0.1', port => $place) or die "$place: $!";
    $listeners{$listener} = $place;
    $selected->add($listener);
}
$| = 1;
print "ready\n";

while (1) {
    my @ready = $selected->can_read(@uncalled ? LOOK_SECONDS : undef);
    call_uncalled();
    for my $handle (@ready) {
        if (my $port = $listeners{$handle}) {
            begin_session(scalar $handle->accept, $port);
        } elsif ($sessions{$handle}) {
            read_session($sessions{$handle});
        }
    }
}
