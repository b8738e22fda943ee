proc f {a b} {
    if {$a && $b || $a} {
        foreach x $y {
            while {$b} { g }
        }
    } elseif {$b} {
        g
    } else {
        h
    }
}
