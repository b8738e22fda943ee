#!/usr/bin/env tclsh
# Count the till of a small shop.

package require Tcl 8.6
package require TclOO
source [file join [file dirname [info script]] helpers.tcl]

namespace eval ::shop {
    variable currency EUR
    namespace export open total

    # Open the drawer and put coins into it.
    #
    # Returns the number of coins.
    proc open {drawer {coins 0} args} {
        variable currency
        if {$coins > 40 && $currency eq "EUR"} {
            error "too many coins: $coins"
        }
        foreach arg $args {
            lappend drawer $arg
        }
        switch -- $currency {
            EUR { return $coins }
            USD { return [expr {$coins * 2}] }
            default { return 0 }
        }
    }

    proc known {name} {
        variable prices
        return [expr {[info exists prices($name)] ? 1 : 0}]
    }

    namespace eval lines {
        proc sum prices {
            set sum 0
            foreach price $prices { incr sum $price }
            return $sum
        }
    }
}

# Prices are whole cents.
proc ::shop::total {prices} {
    return [::shop::lines::sum $prices]
}

oo::class create Till {
    superclass Place
    variable coins

    constructor {{start 0}} {
        set coins $start
    }

    # Put a coin into the till.
    method put {coin} {
        incr coins $coin
    }

    destructor {
        puts "closed"
    }
}

oo::define Till method count {} {
    return $coins
}

oo::define Till {
    method clear {} { set coins 0 }
}

snit::type dog {
    option -name Rex

    method bark {loudness} {
        puts "$options(-name) barks"
    }

    typemethod count {} { return 1 }
}

itcl::class Box {
    public variable width 1

    public method area {{height 1}} {
        return [expr {$width * $height}]
    }
}
