module Branches

let f a b =
    if a && b || a then
        for x in y do
            while b do
                ()
    elif b then
        g ()
    else
        h ()
