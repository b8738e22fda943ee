let f a b =
  if a && b || a then
    for _ = 1 to 2 do
      while b do
        ()
      done
    done
  else if b then g ()
  else h ()
