# Answers GET /health and GET /ratings/<id> on port 9080, one request a connection.
use strict;
use warnings;
use IO::Socket::INET;

my $server = IO::Socket::INET->new(LocalPort => 9080, Listen => 128, ReuseAddr => 1) or die "port 9080: $!";
$SIG{CHLD} = 'IGNORE';
while (my $client = $server->accept) {
    if (my $child = fork) { close $client; next; }
    my $request = <$client> // '';
    while (defined(my $line = <$client>)) { last if $line =~ /^\r?\n$/; }
    my ($status, $body) = ('404 Not Found', '{"error":"not found"}');
    ($status, $body) = ('200 OK', '{"status":"Ratings is healthy"}') if $request =~ m{^GET /health };
    ($status, $body) = ('200 OK', "{\"id\":$1,\"ratings\":{\"Reviewer1\":5,\"Reviewer2\":4}}")
        if $request =~ m{^GET /ratings/(\d+) };
    print $client "HTTP/1.1 $status\r\nContent-Type: application/json\r\nContent-Length: ", length $body,
        "\r\nConnection: close\r\n\r\n$body";
    exit 0;
}
