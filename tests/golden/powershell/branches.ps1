function f($a, $b) {
    if ($a -and $b -or $a) {
        foreach ($x in $y) {
            while ($b) { }
        }
    }
    elseif ($b) {
        g
    }
    else {
        h
    }
}
