#!/usr/bin/perl
# Net::SMPP as a codec: a line {"pdu": hexadecimal, "tlvs": [names]} in; out, what it read of it,
# texts and octets in hexadecimal, and the octets it writes itself for what it has read, with these
# TLVs in this order.
use strict;
use warnings;

use IO::Socket;
use JSON::PP;
use Net::SMPP;

use constant OCTETS_MAX => 1 << 20;

# What the package adds to the fields of the wire: the header, and names of SMPP 4.0.
my @OTHERS = qw(cmd status seq data known_pdu reserved message_class msg_reference);

my ($ours, $theirs) = IO::Socket->socketpair(AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die $!;
bless $theirs, 'Net::SMPP';
my %defaults = %{ &Net::SMPP::Default };
${*$theirs}{$_} = $defaults{$_} for keys %defaults;
$theirs->set_version(0x34);

sub write_again {
    my ($command, $header, $fields, $tlvs) = @_;
    my @options = $command =~ /_resp$|^generic_nack$/ ? (status => $header->{status}) : (async => 1);
    my %mandatory = %$fields;
    delete @mandatory{@$tlvs};
    $theirs->$command(%mandatory, @options, seq => $header->{seq},
        map { ($_ => $fields->{$_}) } @$tlvs);
    sysread $ours, my $octets, OCTETS_MAX;
    return unpack 'H*', $octets;
}

$| = 1;
my $json = JSON::PP->new->canonical->utf8;
while (my $line = <STDIN>) {
    my $question = $json->decode($line);
    syswrite $ours, pack('H*', $question->{pdu});
    local $SIG{__WARN__} = sub { };    # of tags it does not know
    my $pdu = $theirs->read_pdu;
    my %fields = map { $_ => $pdu->{$_} } grep { !/^\d+$/ } keys %$pdu;
    my $header = { map { $_ => delete $fields{$_} } @OTHERS };
    my $command = $pdu->explain_cmd;
    my $again = write_again($command, $header, \%fields, $question->{tlvs});
    my %shown = map { $_ => unpack('H*', $fields{$_}) } keys %fields;
    print $json->encode({ command => $command, sequence_number => $header->{seq} + 0,
        status => $header->{status} + 0, fields => \%shown, again => $again }) . "\n";
}
