#!/usr/bin/env perl
# Orders of the shop: reads them, checks them, and prints what they cost.

use strict;
use warnings;

=head1 NAME

Shop::Order - one order and its lines

=cut

package Shop::Order;

use parent -norequire, 'Shop::Record';
use List::Util qw(sum0 first);

our $VERSION = '1.04';
my %RATES = (EUR => 1, USD => 0.92);

=head2 new(%fields)

Makes an order of its fields; C<lines> must be an array reference, see L<lines|/lines>.

=over

=item * dies on an unknown currency

=back

=cut

sub new {
    my ($class, %fields) = @_;
    die "unknown currency: $fields{currency}" unless exists $RATES{ $fields{currency} };
    return bless {%fields}, $class;
}

# The lines, never undefined.
sub lines {
    my $self = shift;
    return $self->{lines} // [];
}

sub total {
    my $self = shift;
    my $currency = shift || 'EUR';
    my $sum = 0;
    LINE: foreach my $line (@{ $self->lines }) {
        next LINE if $line->{free} && !$line->{taxed};
        if ($line->{count} > 0 and $line->{price}) {
            $sum += $line->{count} * $line->{price};
        }
        elsif ($line->{refund}) {
            $sum -= $line->{refund};
        }
        else {
            warn "nothing to pay for $line->{sku}";
        }
    }
    return $sum / $RATES{$currency};
}

my $format = sub {
    my ($amount, $currency) = @_;
    return sprintf '%.2f %s', $amount, $currency;
};

*cost = sub { $_[0]->total };

package Shop::Register {
    require Carp;

    sub open_till ($self, $amount = 0, @coins) {
        eval { $self->count(@coins); 1 } or do {
            Carp::carp("cannot count: $@");
        };
        return $amount;
    }
}

package Shop::Order::Line;

sub describe {
    return <<"TEXT";
sub not_a_sub { "of the text" }
TEXT
}

class Shop::Point 1.0 {
    field $x = 0;

    # Moves it.
    method move($dx) {
        $x += $dx while $x < 10;
        return $self;
    }
}

sub Shop::Other::helper { return 1 }

1;

__END__

=head1 AUTHOR

The shop.
