@implementation A
- (void)f:(BOOL)a b:(BOOL)b {
  if (a && b || a) { for (id x in y) { while (b) {} } } else if (b) { g(); } else { h(); }
}
@end
