{
  f = a: b: if a && b || a then (if a then (if b then 1 else 2) else 3) else (if b then g else h);
}
