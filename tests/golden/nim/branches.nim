proc f(a, b: bool) =
  if a and b or a:
    for x in y:
      while b:
        discard
  elif b:
    g()
  else:
    h()
