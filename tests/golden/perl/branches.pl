sub f {
    my ($a, $b) = @_;
    if ($a && $b || $a) { for my $x (@y) { while ($b) { g() } } } elsif ($b) { g() } else { h() }
}
